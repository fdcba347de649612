"""Cells and images to make results of."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells
from cellseg_mm.readers.array_image import ArrayImage

CLASSES = ("lymphocyte", "epithelial", "other")

RandomMask = Callable[[np.random.Generator], np.ndarray]
RandomCells = Callable[..., list[DetectedCell]]
CutUp = Callable[..., list[FoundCells]]
MakeImage = Callable[..., ResultImage]


@pytest.fixture
def random_cells() -> RandomCells:
    """``random_cells(rng, count, height, width)``: discs, noise and specks that overlap."""

    def make(
        rng: np.random.Generator, count: int, height: int, width: int, largest: int = 30
    ) -> list[DetectedCell]:
        cells = []
        for _ in range(count):
            h, w = rng.integers(1, min(largest, height, width), 2).tolist()
            top, left = rng.integers(0, (height - h + 1, width - w + 1)).tolist()
            bitmap = random_bitmap(rng, h, w)
            score = float(rng.integers(1, 20)) / 20
            box = (float(left), float(top), float(left + w), float(top + h))
            label = int(rng.integers(len(CLASSES)))
            cells.append(DetectedCell(box, score, label, left, top, bitmap))
        return cells

    return make


def random_bitmap(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask with a pixel on each side: noise, a blob with holes, or a disc."""
    kind = rng.integers(3)
    if kind == 0:
        bitmap = rng.random((height, width)) < rng.uniform(0.2, 0.9)
    else:
        y, x = (np.mgrid[:height, :width].T + 0.5).T
        radius = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) ** 0.5
        bitmap = radius <= 0.5
        if kind == 1:
            noise = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1.5)
            bitmap &= noise > np.quantile(noise, 0.2)
    # The mask reaches all sides of its extent.
    bitmap[0, rng.integers(width)] = bitmap[-1, rng.integers(width)] = True
    bitmap[rng.integers(height), 0] = bitmap[rng.integers(height), -1] = True
    return bitmap


@pytest.fixture
def random_mask() -> RandomMask:
    """``random_mask(rng)``: (h, w) bool with up to 27 pixels a side."""
    return lambda rng: random_bitmap(rng, *rng.integers(1, 28, 2).tolist())


@pytest.fixture
def cut_up() -> CutUp:
    """``cut_up(rng, cells, height)``: the cells as a stream that keeps its promise."""

    def cut(
        rng: np.random.Generator, cells: list[DetectedCell], height: int, batches: int = 8
    ) -> list[FoundCells]:
        given: list[FoundCells] = []
        waiting = list(cells)
        for final_rows in [*sorted(rng.integers(0, height, batches).tolist()), height]:
            # All that has a pixel above the promised row, and some of the others.
            now = [
                c.top < final_rows or final_rows == height or rng.random() < 0.1 for c in waiting
            ]
            given.append(
                FoundCells([c for c, n in zip(waiting, now, strict=True) if n], final_rows)
            )
            waiting = [c for c, n in zip(waiting, now, strict=True) if not n]
        assert sum(len(batch.cells) for batch in given) == len(cells)
        return given

    return cut


@pytest.fixture
def make_image() -> MakeImage:
    """``make_image(height, width)``: an image of noise."""

    def make(
        height: int,
        width: int,
        name: str = "slide 1",
        mpp: tuple[float, float] | None = (0.25, 0.25),
    ) -> ResultImage:
        pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
        return ResultImage(name, ArrayImage(pixels), CLASSES, mpp)

    return make
