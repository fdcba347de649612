"""Find the cells of images of any size: slides, too.

For each image, DIR receives <name>_cells.geojson (outlines, classes and scores; QuPath opens it)
and <name>_labels.tif (a label map; its values are the cells' numbers, less cells that better ones
cover). Tiled TIFFs are read, predicted and written region by region, so memory does not grow with
them; PNG, JPEG and TIFFs of one compressed strip are read as a whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the checkpoint")
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE",
        help="slide, TIFF (tiled ones are read by region), PNG, JPEG, BMP or WebP",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--min-score", type=float, default=0.5, help="leave out cells below it (default: 0.5)"
    )
    parser.add_argument("--tile", type=int, default=1024, help="side in pixels (default: 1024)")
    parser.add_argument(
        "--overlap",
        type=int,
        default=64,
        help="pixels that tiles share; more than a cell's diameter (default: 64)",
    )
    parser.add_argument(
        "--channel-order",
        choices=["rgb", "bgr"],
        default="rgb",
        help="bgr: the files have red and blue swapped, as in the course's archive",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="overrides of the config, such as test_time.views=flips",
    )
    args = parser.parse_args()
    if not 0 < args.overlap < args.tile:
        parser.error(f"--overlap {args.overlap} must be above 0 and below --tile {args.tile}")
    if not 0 <= args.min_score <= 1:
        parser.error(f"--min-score {args.min_score} must lie between 0 and 1")
    if args.out.exists() and not args.out.is_dir():
        parser.error(f"--out {args.out} is a file: name a folder")
    names = [path.stem for path in args.images]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        parser.error(f"several images are named {twice[0]}: segment them into different folders")
    for path in args.images:
        if not path.is_file():
            parser.error(f"the image {path} does not exist")
    return args


def main() -> None:
    args = parse_args()
    # These imports take seconds, which --help and a mistyped option should not.
    import time

    from cellseg_mm.inference.readers.open_image import open_image
    from cellseg_mm.inference.region_model import RegionModel
    from cellseg_mm.inference.segment_image import segment_image
    from cellseg_mm.runs.peak_memory import peak_resident_bytes
    from cellseg_mm.runs.run_config import load_config
    from cellseg_mm.runs.user_errors import exit_with_a_sentence

    with exit_with_a_sentence():
        config = load_config(args.config, None, args.cfg_options)
        model = RegionModel(config, args.checkpoint)
        args.out.mkdir(parents=True, exist_ok=True)
        print("  ".join(["cells", *model.classes, "seconds", "cells/s", "image"]))
        for path in args.images:
            start = time.perf_counter()
            with open_image(path, args.channel_order) as image:
                for warning in image.warnings:
                    print(f"warning: {warning}")
                counts = segment_image(
                    image,
                    model,
                    model.classes,
                    cells_file=args.out / f"{path.stem}_cells.geojson",
                    labels_file=args.out / f"{path.stem}_labels.tif",
                    tile=args.tile,
                    overlap=args.overlap,
                    min_score=args.min_score,
                )
                size = f"{image.width}×{image.height}"
            seconds = time.perf_counter() - start
            numbers = [counts.total(), *(counts[name] for name in model.classes)]
            rates = [f"{seconds:.1f}", f"{counts.total() / seconds:.1f}"]
            titles = ["cells", *model.classes, "seconds", "cells/s"]
            row = [str(v).rjust(len(t)) for v, t in zip([*numbers, *rates], titles, strict=True)]
            print("  ".join([*row, f"{path} ({size})"]), flush=True)
    if model.full_regions:
        print(
            f"{model.full_regions} tiles have {model.max_per_region} detections, the most that the "
            "model returns, so cells may be missing: use a smaller --tile, or raise "
            "model.test_cfg.rcnn.max_per_img with --cfg-options."
        )
    print(f"peak memory: {peak_resident_bytes() >> 20:,} MB")


if __name__ == "__main__":
    main()
