"""Time and peak memory of cellseg segment on a large image.

python benchmarks/large_image.py CHECKPOINT [--config C] [--width W] [--height H] [OPTION ...]

Paints a slide as a tiled JPEG TIFF and segments it; further options go to cellseg segment. Memory
is the peak of that process less its peak on an image of 64×64 pixels, which is what Python, the
libraries and the model take. It depends on the width, not on the height, so --height 3000 tells in
minutes what a higher slide would need.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.preparation.synthetic_cells import synthesize_image

REPOSITORY = Path(__file__).parents[1]
TILE = 512
CELLS = 100
"""In a tile: the density of MoNuSAC's median image."""

PATCHES = 8
"""Painted once each; a slide is made of them, mirrored at random."""


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name, folder or checkpoint, such as that of make demo")
    parser.add_argument("--width", type=int, default=20_000, help="pixels (default: 20000)")
    parser.add_argument("--height", type=int, help="pixels (default: as --width)")
    parser.add_argument("--folder", type=Path, help="keep the slide and the results there")
    return parser.parse_known_args()


def paint_slide(path: Path, height: int, width: int) -> None:
    """Write a synthetic slide, tile by tile."""
    rng = np.random.default_rng(0)
    patches = [synthesize_image(rng, TILE, TILE, CELLS).rgb for _ in range(PATCHES)]

    def tiles() -> Iterator[npt.NDArray[np.uint8]]:
        for _ in range(-(-height // TILE) * -(-width // TILE)):
            patch = patches[rng.integers(PATCHES)]
            yield np.ascontiguousarray(patch[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])])

    tifffile.imwrite(
        path,
        tiles(),
        shape=(height, width, 3),
        dtype=np.uint8,
        photometric="rgb",
        tile=(TILE, TILE),
        compression="jpeg",
        compressionargs={"level": 90},
        maxworkers=1,
    )


def segment(model: str, image: Path, out: Path, options: list[str]) -> float:
    """Run the command; the most memory it held, megabytes."""
    command = [sys.executable, "-m", "cellseg_mm", "segment", image, "--model", model, "--out", out]
    process = subprocess.Popen([*map(str, command), *options], cwd=REPOSITORY)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
    return usage.ru_maxrss / 1024


def main() -> None:
    args, options = parse_args()
    model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
    width, height = args.width, args.height or args.width
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        small, slide = Path(temporary, "small.tif"), folder / "slide.tif"
        paint_slide(small, 64, 64)
        paint_slide(slide, height, width)
        base = segment(model, small, Path(temporary), options)
        start = time.perf_counter()
        peak = segment(model, slide, folder, options)
        seconds = time.perf_counter() - start
        print(f"{width:,}×{height:,} pixels in {seconds:,.0f} s, start of Python included")
        print(f"{base:,.0f} MB with a small image, {peak - base:,.0f} MB more with it")


if __name__ == "__main__":
    main()
