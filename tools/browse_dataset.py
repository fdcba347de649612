"""Look at samples as a config's data loader makes them, augmentation included.

    python tools/browse_dataset.py CONFIG [--split train|val|test] [--num N] [--out PATH]

Outlines and boxes in the colours of the classes: a PNG for each sample in a folder, or one HTML
page if PATH ends in .html. The loader is the run's own, built from the same config and seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", help="path of the config")
    add("--split", choices=["train", "val", "test"], default="train")
    add("--num", type=int, default=8, metavar="N", help="samples (default: 8)")
    add(
        "--out",
        type=Path,
        metavar="PATH",
        help="folder of PNG files, or an .html file (default: work_dirs/<config's name>/samples)",
    )
    add(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="overrides of the config, such as data_root=data/demo randomness.seed=1",
    )
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f"--num is {args.num}; give 1 or more")
    return args


def browse(config: Any, split: str, num: int, out: Path) -> int:
    """Draw samples of a split into a folder or a page; how many: evaluation splits have an end."""
    from itertools import islice

    from cellseg_mm.files.atomic_write import atomic_write
    from cellseg_mm.files.rgb_file import write_rgb
    from cellseg_mm.reporting.render import render
    from cellseg_mm.visualization.loader_samples import (
        batch_samples,
        class_colours,
        iterate_batches,
        loads_bgr,
        seeded_loader,
    )
    from cellseg_mm.visualization.sample_picture import sample_picture, stack_pictures

    loader = seeded_loader(config, split)
    batches = iterate_batches(loader) if split == "train" else loader
    bgr = loads_bgr(config)
    samples = (s for batch in batches for s in batch_samples(batch, loader.dataset, bgr))
    classes, palette = class_colours(loader.dataset)

    figures = []
    drawn = 0
    for drawn, sample in enumerate(islice(samples, num), start=1):
        picture = sample_picture(sample, classes, palette)
        if out.suffix == ".html":
            height, width = sample.image.shape[:2]
            caption = f"{sample.name}: {width} × {height} px, {len(sample.cells):,} cells"
            figures.append((caption, stack_pictures([picture])))
        else:
            write_rgb(out / f"{split}_{drawn:03d}_{sample.name}.png", picture)
    if out.suffix == ".html":
        subtitle = f"{drawn} samples of the {split} loader, seed {config.randomness.get('seed')}"
        page = render(
            "samples.html", title=Path(config.filename).stem, subtitle=subtitle, figures=figures
        )
        with atomic_write(out) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
    return drawn


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        # This import takes seconds, which --help and a mistyped option should not.
        from cellseg_mm.runs.run_config import load_config

        config = load_config(args.config, None, args.cfg_options)
        out = args.out or Path(config.work_dir, "samples")
        drawn = browse(config, args.split, args.num, out)
        print(f"{out}: {drawn} samples of the {args.split} loader")


if __name__ == "__main__":
    main()
