"""Prepare a raw data set for training: PNG images, label planes, COCO annotations and an audit.

RAW holds train/<name>/image.tif with class1.tif … classC.tif, and optionally
test_release/<name>.tif, test_image_name_to_ids.json and test_gt/<name>/classK.tif.
The output appears whole or not at all. A rerun replaces it and uses the split files in
DIR/splits/ again. Exit codes: 0 done, 2 bad input (all of it is listed) or disk trouble,
130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from cellseg_mm.runs.user_errors import exit_with_a_sentence, written_or_not

_MOST_WORKERS = 16


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("raw", metavar="RAW", type=Path, help="folder in the raw layout")
    add("--out", metavar="DIR", type=Path, required=True, help="folder to write, such as data/cell")
    _add_split_options(parser)
    add(
        "--channel-order",
        choices=("auto", "rgb", "bgr"),
        default="auto",
        help="of the raw images; auto: as dataset.json says, or the whole data set votes (default)",
    )
    add(
        "--classes",
        metavar="A,B,…",
        help="class names of class1.tif, class2.tif, … "
        "(default: those of dataset.json, or epithelial,lymphocyte,neutrophil,macrophage)",
    )
    add(
        "--class-table",
        metavar="FILE",
        type=Path,
        help="YAML with a line `name: class` for each of those names: what it is called in "
        "training, or `ignore` for cells that are neither cell nor background",
    )
    add(
        "--ignore-unlabelled",
        metavar="FOLDER",
        type=Path,
        help="ignore cells without a label that a model found in the training images: the folder "
        "that `cellseg segment DIR/images/train --formats labels csv` wrote",
    )
    add(
        "--min-score",
        metavar="S",
        type=float,
        help="with --ignore-unlabelled: least score of such a cell (default: 0.6)",
    )
    add(
        "--workers",
        metavar="N",
        type=int,
        default=min(_cpu_count(), _MOST_WORKERS),
        help=f"number of processes (default: the CPUs, at most {_MOST_WORKERS})",
    )
    args = parser.parse_args()
    if (args.folds is None) != (args.fold is None):
        parser.error("--folds and --fold go together")
    if args.min_score is not None and args.ignore_unlabelled is None:
        parser.error("--min-score goes with --ignore-unlabelled")
    return args


def _add_split_options(parser: argparse.ArgumentParser) -> None:
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--val-fraction",
        metavar="F",
        type=float,
        default=0.05,
        help="share of the images for validation (default: 0.05; 0: all images for training)",
    )
    split.add_argument(
        "--folds", metavar="K", type=int, help="split into K folds of equal size instead"
    )
    parser.add_argument(
        "--fold", metavar="I", type=int, help="with --folds: the validation fold, from 0"
    )
    parser.add_argument(
        "--group-regex",
        metavar="R",
        help="finds in an image's name what must stay together in a split: the first group, or the "
        "whole match (default: the patient in dataset.json or of a TCGA barcode)",
    )
    parser.add_argument("--seed", metavar="K", type=int, default=0, help="of the split (default 0)")


def _cpu_count() -> int:
    # A container or a job scheduler may grant fewer CPUs than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def summary(audit: dict[str, Any], out: Path) -> str:
    """A few lines for the person at the terminal."""
    order, split = audit["channel_order"], audit["split"]
    lines = [f"Prepared {out}:"]
    for part, record in split["parts"].items():
        counts = ", ".join(f"{count} {name}" for name, count in record["instances"].items())
        lines.append(f"  {part + ':':7}{record['images']:5} images  {counts}")
    if ignored := audit.get("ignored"):
        counts = ", ".join(f"{number} in {part}" for part, number in ignored.items())
        lines.append(f"  ignored cells, neither cell nor background: {counts}")
    if audit["classes_assumed"]:
        lines.append(
            "  classes: nothing names those of class1.tif, class2.tif, …; are they others than "
            "these, give --classes"
        )
    fold = "" if split["fold"] is None else f", fold {split['fold']}"
    lines += [
        f"  split:  {out / split['file']}{fold}",
        f"  raw channel order: {order['order']} ({order['decided_by']}; votes: "
        f"{order['rgb_votes']} rgb, {order['bgr_votes']} bgr)",
        f"  warnings: {len(audit['warnings'])}; see {out / 'audit.html'}",
    ]
    return "\n".join(lines)


def main() -> None:
    with exit_with_a_sentence("nothing was written."):
        args = parse_args()
    with exit_with_a_sentence(written_or_not(args.out)):
        # These imports take seconds, which --help and a mistyped option should not.
        from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
        from cellseg_mm.preparation.unlabelled_cells import UnlabelledCells
        from cellseg_mm.reporting.audit_page import write_audit_page

        classes: tuple[str, ...] = ()
        if args.classes is not None:
            classes = tuple(name.strip() for name in args.classes.split(","))
        unlabelled = None
        if args.ignore_unlabelled is not None:
            score = 0.6 if args.min_score is None else args.min_score
            unlabelled = UnlabelledCells(args.ignore_unlabelled, score)
        options = PrepareOptions(
            raw=args.raw,
            out=args.out,
            classes=classes,
            class_table=args.class_table,
            unlabelled=unlabelled,
            val_fraction=args.val_fraction,
            folds=args.folds,
            fold=args.fold or 0,
            group_regex=args.group_regex,
            channel_order=args.channel_order,
            seed=args.seed,
            workers=args.workers,
            show_progress=True,
        )
        audit = prepare_dataset(options, write_audit_page)
        print(summary(audit, args.out))


if __name__ == "__main__":
    main()
