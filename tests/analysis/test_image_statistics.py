"""Statistics of cells: drawn by hand, and against a brute-force neighbour search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellseg_mm.analysis.image_statistics import measure_cells, nearest_distances, touching_ids


def test_a_drawn_image():
    planes = np.zeros((1, 4, 8), np.int32)
    planes[0, :2, :2] = 1  # centre (0.5, 0.5)
    planes[0, 2, 2] = 2  # touches 1 by a corner, centre (2, 2)
    planes[0, 0, 7] = 4  # alone, centre (7, 0)
    image = np.full((4, 8, 3), (200, 100, 50), np.uint8)
    image[:2, :2] = (10, 20, 30)
    image[0, 0] = (50, 20, 30)

    cells = measure_cells(image, planes, np.array([4, 1, 2]))

    assert cells.areas.tolist() == [1, 4, 1]
    assert cells.touching.tolist() == [False, True, True]
    assert cells.nearest == pytest.approx([29**0.5, 4.5**0.5, 4.5**0.5])
    assert cells.colours[1].tolist() == [20, 20, 30]
    assert cells.tissue.tolist() == [200, 100, 50]


def test_cells_that_overlap_touch():
    planes = np.zeros((2, 3, 3), np.int32)
    planes[0, 0, 0] = 1
    planes[1, 0, 0] = 2

    assert touching_ids(planes, 3).tolist() == [False, True, True]


def test_no_cell_and_one_cell():
    image, planes = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2), np.int32)

    assert measure_cells(image, planes, np.zeros(0, np.int64)).areas.size == 0
    assert nearest_distances(np.zeros((1, 2))).tolist() == [np.inf]


@settings(deadline=None, max_examples=60)
@given(arrays(np.int32, (2, 5, 6), elements=st.integers(0, 4)))
def test_touching_against_every_pair_of_pixels(planes):
    expected = np.zeros(5, bool)
    pixels = [(int(planes[p, y, x]), y, x) for p, y, x in zip(*np.nonzero(planes), strict=True)]
    for a, y, x in pixels:
        if any(a != b and abs(y - v) <= 1 and abs(x - u) <= 1 for b, v, u in pixels):
            expected[a] = True

    assert (touching_ids(planes, 5) == expected).all()
