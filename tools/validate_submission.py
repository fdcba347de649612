"""Check a submission against the list of test images; exit code 2 if a grader would stumble."""

from __future__ import annotations

import argparse
import sys

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("submission", help="the zip")
    add("images", help="the image list: test_image_name_to_ids.json, or a COCO json with `images`")
    add("--num-classes", type=int, default=4, help="category ids go from 1 to this (default: 4)")
    add("--max-problems", type=int, default=20, help="problems to list (default: 20)")
    return parser.parse_args()


def main() -> int:
    with exit_with_a_sentence():
        args = parse_args()
        from cellseg_mm.evaluation.submission_check import validate_submission

        check = validate_submission(
            args.submission, args.images, args.num_classes, args.max_problems
        )
        print(check)
    return 0 if check.valid else 2


if __name__ == "__main__":
    sys.exit(main())
