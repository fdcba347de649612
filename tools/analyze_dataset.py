"""Describe a prepared data set: sizes, counts, areas, crowding, colours, and anchors that fit.

    python tools/analyze_dataset.py DATA_ROOT [--config CONFIG] [--out DIR]

Writes dataset.md, dataset.json and dataset.png into DIR and prints the first. With a config, also
the share of boxes that its anchors reach, at the size at which its network sees the images.
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
    add("data_root", type=Path, help="a prepared data set (data_prep/prepare.py)")
    add("--config", help="config whose anchors to measure")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: work_dirs/datasets/<name of the data set>)",
    )
    add("--cfg-options", nargs="+", metavar="KEY=VALUE", help="overrides of the config")
    return parser.parse_args()


def analyze(data_root: Path, config_path: str | None, options: list[str] | None, out: Path) -> str:
    """Measure a data set, and a config's anchors if one is given; write and tell the results."""
    # These imports take seconds, which --help and a mistyped option should not.
    import json

    from cellseg_mm.analysis.anchor_coverage import anchor_coverage, anchor_markdown
    from cellseg_mm.analysis.dataset_figure import draw_dataset
    from cellseg_mm.analysis.split_tables import markdown, read_splits, summarize
    from cellseg_mm.files.atomic_write import atomic_write
    from cellseg_mm.runs.run_config import load_config

    config = load_config(config_path, None, options) if config_path else None
    tables = read_splits(data_root)
    summaries = {split: summarize(table) for split, table in tables.items()}
    anchors = anchor_coverage(tables.get("train", next(iter(tables.values()))), config)

    text = f"# {data_root.name}\n\n{markdown(summaries)}\n{anchor_markdown(anchors)}"
    record = {"splits": summaries, "anchors": anchors}
    for name, content in (("json", json.dumps(record, indent=2) + "\n"), ("md", text)):
        with atomic_write(out / f"dataset.{name}") as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    draw_dataset(tables, out / "dataset.png")
    return text


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        out = args.out or Path("work_dirs/datasets", args.data_root.resolve().name)
        print(analyze(args.data_root, args.config, args.cfg_options, out))
        print(f"{out}/dataset.md, dataset.json, dataset.png")


if __name__ == "__main__":
    main()
