"""Outlines: which pixels they cover, at which scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask
from scipy import ndimage

from cellseg_mm.structures.cell_crops import cells_from_planes
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.outlines import draw_outlines, outline

RED, BLUE = (255, 0, 0), (0, 0, 255)
BITMAPS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


def black(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def block(height: int, width: int, top: int = 0, left: int = 0, number: int = 1) -> InstanceCrop:
    return InstanceCrop(number, top, left, np.ones((height, width), bool))


def test_outline_of_a_square_is_its_rim() -> None:
    expected = np.ones((5, 5), bool)
    expected[1:4, 1:4] = False
    np.testing.assert_array_equal(outline(np.ones((5, 5), bool)), expected)
    expected[1:4, 1:4] = True
    expected[2, 2] = False
    np.testing.assert_array_equal(outline(np.ones((5, 5), bool), thickness=2), expected)


@given(BITMAPS, st.integers(1, 3))
def test_outline_is_what_an_erosion_takes_away(
    bitmap: npt.NDArray[np.bool_], thickness: int
) -> None:
    core = ndimage.binary_erosion(bitmap, iterations=thickness)
    np.testing.assert_array_equal(outline(bitmap, thickness), bitmap & ~core)


def test_outline_lies_at_the_cell_and_leaves_the_input_alone() -> None:
    image = black(8, 10)
    drawn = draw_outlines(image, [block(3, 4, top=2, left=5)], [RED])
    assert not image.any()
    assert {tuple(p) for p in np.argwhere(drawn[..., 0] == 255)} == {
        (row, column)
        for row in range(2, 5)
        for column in range(5, 9)
        if row in (2, 4) or column in (5, 8)
    }


def test_touching_cells_keep_outlines_of_their_own_and_later_cells_lie_on_top() -> None:
    drawn = draw_outlines(black(3, 8), [block(3, 4), block(3, 4, left=4)], [RED, BLUE])
    np.testing.assert_array_equal(drawn[:, 3], [RED] * 3)
    np.testing.assert_array_equal(drawn[:, 4], [BLUE] * 3)
    drawn = draw_outlines(black(3, 3), [block(3, 3), block(1, 3)], [RED, BLUE])
    np.testing.assert_array_equal(drawn[0], [BLUE] * 3)
    np.testing.assert_array_equal(drawn[2], [RED] * 3)


@given(BITMAPS, st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 2))
def test_enlarging_by_a_whole_factor_repeats_pixels_and_keeps_the_outline_thin(
    bitmap: npt.NDArray[np.bool_], top: int, left: int, factor: int, thickness: int
) -> None:
    full = np.zeros((15, 15), bool)
    full[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    full = full.repeat(factor, axis=0).repeat(factor, axis=1)
    expected = full & ~ndimage.binary_erosion(full, iterations=thickness)
    drawn = draw_outlines(
        black(15 * factor, 15 * factor),
        [InstanceCrop(1, top, left, bitmap)],
        [RED],
        factor,
        thickness,
    )
    np.testing.assert_array_equal(drawn[..., 0] == 255, expected)


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.2, 0.99))
def test_reduced_cells_cover_the_pixels_whose_centres_they_hold(
    top: int, left: int, scale: float
) -> None:
    size = max(1, round(20 * scale))
    drawn = draw_outlines(black(size, size), [block(8, 7, top, left)], [RED], scale, thickness=100)
    centres = (np.arange(size) + 0.5) / scale
    rows = (centres >= top) & (centres < top + 8)
    columns = (centres >= left) & (centres < left + 7)
    np.testing.assert_array_equal(drawn[..., 0] == 255, rows[:, None] & columns[None])


def test_cells_without_pixels_draw_nothing() -> None:
    nothing = InstanceCrop(1, 0, 0, np.zeros((0, 0), bool))
    assert not draw_outlines(black(4, 4), [nothing], [RED]).any()
    assert draw_outlines(black(4, 4), [], np.zeros((0, 3))).shape == (4, 4, 3)


def test_a_colour_is_needed_for_each_cell() -> None:
    with pytest.raises(ValueError, match="zip"):
        draw_outlines(black(4, 4), [block(2, 2)], [RED, BLUE])


def test_cells_from_planes_cuts_named_ids_out_of_all_planes() -> None:
    planes = np.zeros((2, 6, 7), np.int32)
    planes[0, 1:3, 2:6] = 4
    planes[1, 2:4, 5:7] = 9
    nine, four, absent = cells_from_planes(planes, [9, 4, 30])
    assert (nine.instance_id, nine.top, nine.left, nine.bitmap.shape) == (9, 2, 5, (2, 2))
    assert (four.instance_id, four.top, four.left, four.bitmap.shape) == (4, 1, 2, (2, 4))
    assert nine.bitmap.all()
    assert four.bitmap.all()
    assert absent.bitmap.size == 0


@given(st.lists(hnp.arrays(bool, (7, 9)), max_size=5))
def test_cells_from_rles_gives_back_what_pycocotools_encoded(
    bitmaps: list[npt.NDArray[np.bool_]],
) -> None:
    rles = [coco_mask.encode(np.asfortranarray(b.astype(np.uint8))) for b in bitmaps]
    for rle in rles:
        rle["counts"] = rle["counts"].decode()
    cells = list(MaskRuns.from_rles(rles, 7, 9).crops())
    assert [cell.instance_id for cell in cells] == list(range(1, len(bitmaps) + 1))
    for (_, top, left, crop), bitmap in zip(cells, bitmaps, strict=True):
        pasted = np.zeros_like(bitmap)
        pasted[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        np.testing.assert_array_equal(pasted, bitmap)
        if crop.size:  # tight
            assert crop[0].any()
            assert crop[-1].any()
            assert crop[:, 0].any()
            assert crop[:, -1].any()
