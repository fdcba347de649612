"""Time and peak memory of cellseg segment on a large slide, and what becomes of it when killed.

    python benchmarks/large_image.py MODEL [--width W] [--height H] [--kills N] [OPTION ...]

Paints a slide as a tiled JPEG TIFF and as a pyramid of it, and segments each; further options go to
cellseg segment. Memory is the peak of that process less its peak on an image of 64×64 pixels, which
is what Python, the libraries and the model take. It depends on the width, not on the height, so
--height 3000 tells in minutes what a higher slide would need.

With --kills, a run over both slides is killed as often, at random, and gone on with by --resume.
The exit code is 1 if its files differ from those of the runs that nothing disturbed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.preparation.synthetic_cells import synthesize_image

REPOSITORY = Path(__file__).parents[1]
TILE = 512
CELLS = 100
"""In a tile: the density of MoNuSAC's median image."""

PATCHES = 8
"""Painted once each; the tissue is made of them, mirrored at random."""

GLASS = 243
STEPS = (1, 4, 16)
"""Pixels of the full size in one of each level, as scanners write them."""

Tile = npt.NDArray[np.uint8]


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name, folder or checkpoint, such as that of make demo")
    parser.add_argument("--width", type=int, default=20_000, help="pixels (default: 20000)")
    parser.add_argument("--height", type=int, help="pixels (default: as --width)")
    parser.add_argument(
        "--tissue", type=float, default=0.25, metavar="SHARE", help="of the slide (default: 0.25)"
    )
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--seed", type=int, help="of the kills (default: another one each time)")
    parser.add_argument("--folder", type=Path, help="keep the slides and the results there")
    return parser.parse_known_args()


class Slide:
    """Tissue in the middle of glass.

    Args:
        width: Pixels.
        height: Pixels.
        tissue: Share of the slide.
    """

    def __init__(self, width: int, height: int, tissue: float) -> None:
        self._width, self._height = width, height
        rng = np.random.default_rng(0)
        patches = [synthesize_image(rng, TILE, TILE, CELLS).rgb for _ in range(PATCHES)]
        mirrored = [p[::y, ::x] for p in patches for y in (1, -1) for x in (1, -1)]
        self._patches = [np.full((TILE, TILE, 3), GLASS, np.uint8), *mirrored]
        rows, columns = -(-height // TILE), -(-width // TILE)
        self._map = rng.integers(1, len(self._patches), (rows, columns))
        inside = [
            abs((np.arange(count) + 0.5) * 2 / count - 1) <= tissue**0.5
            for count in (rows, columns)
        ]
        self._map[~(inside[0][:, None] & inside[1])] = 0

    def write(self, path: Path, steps: Sequence[int]) -> None:
        """Write the slide with a level for each of ``steps``."""
        with tifffile.TiffWriter(path) as file:
            for step in steps:
                file.write(
                    self._tiles(step),
                    shape=(-(-self._height // step), -(-self._width // step), 3),
                    subfiletype=int(step > 1),
                    dtype=np.uint8,
                    photometric="rgb",
                    tile=(TILE, TILE),
                    compression="jpeg",
                    compressionargs={"level": 90},
                    maxworkers=1,
                )

    def _tiles(self, step: int) -> Iterator[Tile]:
        side = TILE // step
        small = [cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in self._patches]
        rows, columns = (-(-count // step) * step for count in self._map.shape)
        grid = np.zeros((rows, columns), int)
        grid[: self._map.shape[0], : self._map.shape[1]] = self._map
        for y in range(0, rows, step):
            for x in range(0, columns, step):
                lines = [
                    np.hstack([small[i] for i in row]) for row in grid[y : y + step, x : x + step]
                ]
                yield np.ascontiguousarray(np.vstack(lines))


@dataclass(frozen=True)
class Segmentation:
    """The command with its options.

    Attributes:
        model: Name, folder or checkpoint.
        options: Further ones.
    """

    model: str
    options: list[str]

    def start(self, image: Path, out: Path) -> subprocess.Popen[bytes]:
        """Start it; what is complete is left out."""
        command = [sys.executable, "-m", "cellseg_mm", "segment", image, "--model", self.model]
        command += ["--out", out, "--resume", *self.options]
        return subprocess.Popen(list(map(str, command)), cwd=REPOSITORY)

    def run(self, image: Path, out: Path) -> tuple[float, float]:
        """Seconds that it took, start of Python included, and the most memory it held, MB."""
        start = time.perf_counter()
        _, status, usage = os.wait4(self.start(image, out).pid, 0)
        if status:
            sys.exit(os.waitstatus_to_exitcode(status))
        return time.perf_counter() - start, usage.ru_maxrss / 1024

    def kill(self, image: Path, out: Path, seconds: float) -> None:
        """Start it, and kill it after so many seconds."""
        process = self.start(image, out)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"killed after {seconds:.1f} s", flush=True)
        else:
            sys.exit(f"It ended before it was to be killed, after {seconds:.1f} s.")


def differences(folder: Path, expected: Path) -> list[str]:
    """Names of files that one folder lacks or that differ, but for times that are noted in them."""
    names = {path.relative_to(root) for root in (folder, expected) for path in root.rglob("*")}
    return sorted(
        str(name) for name in names if _content(folder / name) != _content(expected / name)
    )


def _content(path: Path) -> Any:
    if not path.is_file():
        return path.is_dir()
    if path.name.endswith("_run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["found"]["seconds"]
        return record
    if path.name == "summary.csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [row | {"seconds": ""} for row in csv.DictReader(file)]
    return path.read_bytes()


def main() -> int:
    args, options = parse_args()
    model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
    command = Segmentation(model, options)
    width, height = args.width, args.height or args.width
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        slides, whole = folder / "slides", folder / "whole"
        slides.mkdir(parents=True, exist_ok=True)
        Slide(64, 64, 1).write(Path(temporary, "small.tif"), STEPS[:1])
        slide = Slide(width, height, args.tissue)
        base = command.run(Path(temporary, "small.tif"), Path(temporary, "small"))[1]
        print(f"{width:,}×{height:,} pixels, {args.tissue:.0%} of them tissue")
        print(f"{base:,.0f} MB with a small image")
        taken = []
        for name, steps in (("flat", STEPS[:1]), ("pyramid", STEPS)):
            slide.write(slides / f"{name}.tif", steps)
            seconds, peak = command.run(slides / f"{name}.tif", whole)
            taken.append(seconds)
            print(f"{name}: {seconds:,.0f} s, {peak - base:,.0f} MB more", flush=True)
        if not args.kills:
            return 0
        command.run(slides, whole)  # the summary of both
        rng, killed = random.Random(args.seed), folder / "killed"
        # At most one slide is done at the first kill, so the others strike a run that has work.
        for longest in [0.95 * sum(taken), *[0.95 * min(taken)] * (args.kills - 1)]:
            command.kill(slides, killed, rng.uniform(0, longest))
        command.run(slides, killed)
        differing = differences(killed, whole)
        print(f"files that differ: {', '.join(differing) or 'none'}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
