"""Outlines against shapely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely

from cellseg_mm.inference.results.cell_bitmaps import largest_piece, whole_cell
from cellseg_mm.inference.results.polygon import polygon
from cellseg_mm.models.test_time.seams import DetectedCell


def as_shapely(bitmap: np.ndarray, left: int = 0, top: int = 0) -> shapely.Polygon:
    outline, *holes = polygon(bitmap, left, top)
    return shapely.Polygon(outline, holes)


@pytest.mark.parametrize("filled", [True, False])
def test_outlines_of_masks_are_valid_and_enclose_exactly_their_pixels(
    filled: bool, random_mask: Callable[[np.random.Generator], np.ndarray]
) -> None:
    rng = np.random.default_rng(1)
    holes = 0
    for _ in range(2000 if filled else 1000):
        cell = DetectedCell((0, 0, 0, 0), 0.5, 0, 40, 70, random_mask(rng))
        cell = whole_cell(cell) if filled else largest_piece(cell)
        shape = as_shapely(cell.bitmap, cell.left, cell.top)
        assert shape.is_valid
        assert shape.area == cell.area
        x1, y1, x2, y2 = shape.bounds
        assert (x1, y1, x2, y2) == cell.extent
        y, x = np.nonzero(cell.bitmap)
        assert shapely.contains_xy(shape, x + cell.left + 0.5, y + cell.top + 0.5).all()
        holes += len(shape.interiors)
    assert (holes == 0) == filled


def test_corners() -> None:
    rings = polygon(np.array([[1, 1], [1, 0]], bool), 5, 7)
    assert len(rings) == 1
    assert len(rings[0]) == 6
    assert {tuple(corner) for corner in rings[0].tolist()} == {
        (5, 7),
        (7, 7),
        (7, 8),
        (6, 8),
        (6, 9),
        (5, 9),
    }
