"""Seconds a megapixel of finding an image's cells on one CPU thread, by both paths.

The fast path (``models/deployed``) and the detector as tools/test.py runs it see the same image in
turns; then the fast path with all that a user waits for: unique cells and their measurements.

    python benchmarks/segment_image.py MODEL [IMAGE] [--repeats N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from unittest import mock

import cv2
import numpy as np
import torch
from PIL import Image

from cellseg_mm.inference import cell_finder
from cellseg_mm.inference.cell_finder import CellFinder
from cellseg_mm.inference.cell_segmenter import CellSegmenter
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import find_model

SIDE, CELLS = 1000, 600
"""The synthetic image: CoNSeP has 24,319 cells in 41 images of 1 Mpx, 593 each."""

MIN_SCORE, MIN_IOU = 0.5, 0.9


def matched_share(found: Sequence[DetectedCell], expected: Sequence[DetectedCell]) -> float:
    """Share of the expected cells that were found, in the same class, with IoU ≥ ``MIN_IOU``.

    A found cell matches one expected cell at most.
    """
    free = list(found)
    matched = 0
    for cell in expected:
        same = next((c for c in free if c.label == cell.label and _iou(c, cell) >= MIN_IOU), None)
        if same is not None:
            free.remove(same)
            matched += 1
    return matched / len(expected) if expected else float("nan")


def _iou(a: DetectedCell, b: DetectedCell) -> float:
    x1, y1 = max(a.left, b.left), max(a.top, b.top)
    x2, y2 = min(a.extent[2], b.extent[2]), min(a.extent[3], b.extent[3])
    if x1 >= x2 or y1 >= y2:
        return 0.0
    parts = [c.bitmap[y1 - c.top : y2 - c.top, x1 - c.left : x2 - c.left] for c in (a, b)]
    shared = int((parts[0] & parts[1]).sum())
    return shared / (int(a.bitmap.sum()) + int(b.bitmap.sum()) - shared)


def measure(works: dict[str, Callable[[], object]], repeats: int, megapixels: float) -> None:
    """Run the works in turns, and print least and median seconds a megapixel of each."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    print("| s/Mpx, one thread | CPU, least | CPU, median | wall, least | wall, median |")
    print("|---|--:|--:|--:|--:|")
    for name, times in taken.items():
        columns = [[value / megapixels for value in column] for column in zip(*times, strict=True)]
        values = [f"{summary(column):.2f}" for column in columns for summary in (min, median)]
        print(f"| {name} | {' | '.join(values)} |")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="as of CellSegmenter")
    parser.add_argument("image", type=Path, nargs="?", help="default: a synthetic one")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.image is None:
        rgb = synthesize_image(np.random.default_rng(0), SIDE, SIDE, CELLS).rgb
    else:
        rgb = np.asarray(Image.open(args.image).convert("RGB"))
    region = torch.from_numpy(rgb.copy()).permute(2, 0, 1).contiguous()
    bundle = find_model(args.model)
    segmenter, fast = CellSegmenter(bundle, "cpu"), CellFinder(bundle, "cpu")
    with mock.patch.object(cell_finder, "can_deploy", return_value=False):
        slow = CellFinder(bundle, "cpu")
    (found,), (expected,) = fast([region], MIN_SCORE), slow([region], MIN_SCORE)  # also warms up
    share = matched_share(found, expected)
    print(f"{len(found)} cells by the fast path, {len(expected)} by the slow; matched: {share:.2%}")
    works: dict[str, Callable[[], object]] = {
        "slow path": lambda: slow([region], MIN_SCORE),
        "fast path": lambda: fast([region], MIN_SCORE),
        "CellSegmenter.segment": lambda: segmenter.segment(rgb, bundle.mpp, min_score=MIN_SCORE),
    }
    measure(works, args.repeats, rgb.shape[0] * rgb.shape[1] / 1e6)


if __name__ == "__main__":
    main()
