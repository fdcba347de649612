"""Time and peak memory of tools/segment.py on a large image.

python benchmarks/large_image.py CHECKPOINT [--config C] [--width W] [--height H] [OPTION ...]

Paints a slide as a tiled JPEG TIFF and segments it; further options go to tools/segment.py. Memory
is the peak of that process less its peak on an image of 64×64 pixels, which is what Python, the
libraries and the model take. It depends on the width, not on the height, so --height 3000 tells in
minutes what a higher slide would need.
"""

from __future__ import annotations

import argparse
import re
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
    parser.add_argument("checkpoint", type=Path, help="weights, such as those of make demo")
    parser.add_argument(
        "--config",
        type=Path,
        default=REPOSITORY / "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py",
        help="config of the checkpoint (default: the demo's)",
    )
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


def segment(args: argparse.Namespace, image: Path, out: Path, options: list[str]) -> str:
    """Run the tool; its output."""
    command = [sys.executable, "tools/segment.py", args.config, args.checkpoint, image]
    process = subprocess.run(
        [*map(str, command), "--out", str(out), *options],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if process.returncode:
        sys.exit(process.returncode)
    return process.stdout


def peak_megabytes(output: str) -> int:
    """What the tool's last line says."""
    (peak,) = re.findall(r"^peak memory: ([\d,]+) MB$", output, re.M)
    return int(peak.replace(",", ""))


def main() -> None:
    args, options = parse_args()
    args.checkpoint = args.checkpoint.resolve()
    width, height = args.width, args.height or args.width
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        small, slide = Path(temporary, "small.tif"), folder / "slide.tif"
        paint_slide(small, 64, 64)
        paint_slide(slide, height, width)
        base = peak_megabytes(segment(args, small, Path(temporary), options))
        start = time.perf_counter()
        output = segment(args, slide, folder, options)
        seconds = time.perf_counter() - start
        print(output)
        print(f"{width:,}×{height:,} pixels in {seconds:,.0f} s, start of Python included")
        print(f"{base:,} MB with a small image, {peak_megabytes(output) - base:,} MB more with it")


if __name__ == "__main__":
    main()
