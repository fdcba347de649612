"""One piece without holes, and other resolutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from cellseg_mm.inference.results.cell_bitmaps import largest_piece, resized_cell, whole_cell
from cellseg_mm.models.test_time.seams import DetectedCell

BITMAPS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


def cell(bitmap: np.ndarray, left: int = 0, top: int = 0) -> DetectedCell:
    return DetectedCell((1.0, 2.0, 3.0, 4.0), 0.5, 0, left, top, bitmap)


def placed(c: DetectedCell, height: int = 40, width: int = 40) -> np.ndarray:
    canvas = np.zeros((height, width), bool)
    canvas[c.top : c.top + c.bitmap.shape[0], c.left : c.left + c.bitmap.shape[1]] = c.bitmap
    return canvas


@settings(deadline=None, max_examples=300)
@given(BITMAPS)
def test_the_largest_piece_with_its_holes_filled(bitmap: np.ndarray) -> None:
    whole = placed(cell(bitmap, 3, 2))
    pieces, count = ndimage.label(whole)
    sizes = ndimage.sum_labels(whole, pieces, range(1, count + 1))
    piece = pieces == 1 + sizes.argmax()  # labels rise by rows, and argmax takes the first
    np.testing.assert_array_equal(placed(largest_piece(cell(bitmap, 3, 2))), piece)
    made = whole_cell(cell(bitmap, 3, 2))
    np.testing.assert_array_equal(placed(made), ndimage.binary_fill_holes(piece))
    assert all(side.any() for side in (*made.bitmap[[0, -1]], *made.bitmap[:, [0, -1]].T))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_rectangles_are_enlarged_exactly(factor: int) -> None:
    found = resized_cell(cell(np.ones((4, 6), bool), 5, 3), factor, factor, 200, 100)
    assert found is not None
    assert found.extent == (5 * factor, 3 * factor, 11 * factor, 7 * factor)
    # Interpolation rounds the corners off, and nothing else.
    corners = found.bitmap[:: len(found.bitmap) - 1, :: found.bitmap.shape[1] - 1]
    assert not corners.any() or factor == 2
    assert found.area >= 24 * factor**2 - 4 * (factor - 1) ** 2
    assert found.box == (factor, 2 * factor, 3 * factor, 4 * factor)


def test_axes_are_scaled_apart_and_the_image_is_not_left() -> None:
    found = resized_cell(cell(np.ones((4, 6), bool), 5, 3), 1.0, 2.5, 11, 16)
    assert found is not None
    assert found.extent == (5, 7, 11, 16)  # rows 7.5 to 17.5, cut at 16


def test_halving_keeps_what_is_half_covered() -> None:
    bitmap = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
    found = resized_cell(cell(bitmap, 4, 6), 0.5, 0.5, 100, 100)
    assert found is not None
    assert (found.left, found.top) == (2, 3)
    assert found.bitmap.tolist() == [[True]]
    for left in (4, 5):  # a bar of three columns covers half of a pixel at its one or other end
        found = resized_cell(cell(np.ones((2, 3), bool), left, 6), 0.5, 0.5, 100, 100)
        assert found is not None
        assert found.extent == (left // 2, 3, left // 2 + 1 + left % 2, 4)
    assert resized_cell(cell(np.ones((1, 1), bool), 4, 6), 0.5, 0.5, 100, 100) is None


def test_a_disc_keeps_its_area() -> None:
    y, x = np.mgrid[:21, :21] - 10
    disc = x * x + y * y <= 100
    for factor in (0.5, 0.8, 1.7, 4.0):
        found = resized_cell(cell(disc, 30, 40), factor, factor, 1000, 1000)
        assert found is not None
        assert found.area == pytest.approx(disc.sum() * factor**2, rel=0.03)
        middle = ndimage.center_of_mass(found.bitmap)
        assert middle[1] + found.left + 0.5 == pytest.approx(40.5 * factor, abs=0.2)
        assert middle[0] + found.top + 0.5 == pytest.approx(50.5 * factor, abs=0.2)
