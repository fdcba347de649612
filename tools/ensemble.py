"""Fuse the predictions of several models for the same images.

The files are those of tools/test.py --dump or --submission, or folders of `cellseg segment`. Cells
that overlap by mask IoU become one; a cell that only some of the models find keeps its share of the
score.
"""

from __future__ import annotations

import argparse

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "predictions",
        nargs="+",
        metavar="FOUND",
        help="predictions, a file or folder for each model",
    )
    add(
        "--ann-file",
        required=True,
        metavar="ANN.json",
        help="COCO json of the images, such as data/cell/annotations/test.json",
    )
    add(
        "--out",
        required=True,
        metavar="OUT.json|OUT.zip",
        help="file to write: predictions (.json) or a submission (.zip)",
    )
    add(
        "--merge-iou",
        type=float,
        default=0.5,
        help="mask IoU from which on two detections show one cell (default: 0.5)",
    )
    add(
        "--max-per-image",
        type=int,
        help="detections kept (default: as many as the file with the most has in an image)",
    )
    args = parser.parse_args()
    if not 0 < args.merge_iou <= 1:
        parser.error("--merge-iou must lie above 0, up to 1.")
    if args.max_per_image is not None and args.max_per_image < 1:
        parser.error("--max-per-image must be at least 1.")
    return args


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        # This import takes seconds, which --help and a mistyped option should not.
        from cellseg_mm.inference.ensemble import fuse_predictions

        numbers = fuse_predictions(
            args.predictions, args.ann_file, args.out, args.merge_iou, args.max_per_image
        )
        print(f"{args.out}: {numbers['detections']:,} cells in {numbers['images']:,} images")


if __name__ == "__main__":
    main()
