"""Measure stock MMDetection and this project on the same inputs in one process.

Each stage first checks that both give the same result and aborts where they do not. Writes
results.json, results.md and cost-vs-cells.png; --docs also writes them into docs/. Exit codes:
0 done, 1 the two sides differ, 2 bad input.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

STAGES = (
    "augmentation",
    "sample_bytes",
    "mask_targets",
    "mask_results",
    "coco_evaluation",
    "cell_metrics",
    "data_loading",
    "training_step",
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a data set prepared by data_prep/prepare.py, measured besides synthetic images",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("work_dirs/benchmarks"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE",
        help=f"only these (of {', '.join(STAGES)})",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="small workloads: shows that it runs, in a minute"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write docs/performance.md and its picture again"
    )
    args = parser.parse_args()
    if args.data is not None and not (args.data / "annotations" / "train.json").is_file():
        parser.error(f"{args.data} has no annotations/train.json: run data_prep/prepare.py first")
    return args


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    import albumentations
    import cv2
    import mmdet
    import torch

    facts: dict[str, Any] = {
        "CPU cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "OpenCV threads": cv2.getNumThreads(),
        "torch": torch.__version__,
        "MMDetection": mmdet.__version__,
        "Albumentations": albumentations.__version__,
        "OpenCV": cv2.__version__,
    }
    if torch.cuda.is_available():
        facts["GPU"] = torch.cuda.get_device_name()
    return facts


def main() -> int:
    args = parse_args()
    warnings.filterwarnings("ignore")
    import results
    from measurement import Measurement, ParityError

    import cellseg_mm  # noqa: F401  (before mmdet: it finds mmcv's operators)

    rows: list[Measurement] = []
    for stage in args.stages:
        start = time.perf_counter()
        try:
            measured = importlib.import_module(stage).measure(args.data, args.quick)
        except ParityError as error:
            print(f"{stage}: {error}", file=sys.stderr)
            return 1
        print(f"{stage}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        rows += measured

    facts = environment()
    table = results.markdown(facts, rows)
    args.out.mkdir(parents=True, exist_ok=True)
    results.write_json(args.out / "results.json", facts, rows)
    (args.out / "results.md").write_text(table, encoding="utf-8")
    results.draw(rows, args.out / "cost-vs-cells.png")
    if args.docs:
        results.update_document(table)
        results.draw(rows, results.PICTURE)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
