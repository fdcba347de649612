"""Report on predictions: one HTML file that needs no network, and its figures beside it.

    python tools/test.py CONFIG CHECKPOINT --dump predictions.json
    python tools/report.py WORK_DIR --predictions predictions.json

The predictions are a COCO result list, ours or another program's, or a folder that `cellseg
segment` wrote; without WORK_DIR the learning curves and the config are left out. Exit code 2: bad
input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("work_dir", nargs="?", type=Path, metavar="WORK_DIR", help="folder of the training")
    add(
        "--predictions",
        required=True,
        type=Path,
        metavar="PRED",
        help="COCO result list, submission zip, or folder of cellseg segment",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="prepared folder (default: that of the run's config; without WORK_DIR, data/cell)",
    )
    add(
        "--split",
        choices=["train", "val", "test"],
        default="val",
        help="what was predicted (default: val)",
    )
    add(
        "--out",
        type=Path,
        metavar="REPORT.html",
        help="file to write (default: report.html in WORK_DIR, else beside the predictions); "
        "figures go to REPORT_figures/",
    )
    add(
        "--score-threshold",
        type=float,
        default=0.5,
        metavar="S",
        help="least score of a prediction, except for AP (default: 0.5)",
    )
    add("--images", type=int, default=8, metavar="N", help="images in the browser (default: 8)")
    add("--bootstrap", type=int, default=1000, metavar="N", help="samples (default: 1000)")
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    args = parser.parse_args()
    if min(args.images, args.bootstrap, args.seed) < 0:
        parser.error("--images, --bootstrap and --seed must not be negative")
    return args


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        report(args)


def report(args: argparse.Namespace) -> None:
    """Write the report and say where it is."""
    # These imports take seconds, which --help and a mistyped option should not.
    from cellseg_mm.reporting.html_report import ReportOptions, figures_folder, write_report

    out = args.out or (args.work_dir or args.predictions.parent) / "report.html"
    options = ReportOptions(
        predictions=args.predictions,
        data_root=args.data,
        split=args.split,
        work_dir=args.work_dir,
        score_threshold=args.score_threshold,
        images=args.images,
        samples=args.bootstrap,
        seed=args.seed,
    )
    write_report(options, out)
    print(f"Wrote {out} and {figures_folder(out)}/")


if __name__ == "__main__":
    main()
