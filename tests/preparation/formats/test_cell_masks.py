"""The pixels of cells, against shapely and scikit-image, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cellseg_mm.preparation.formats.annotated_image import Bitmap, Cell, FilledRegion, Outline
from cellseg_mm.preparation.formats.cell_masks import masks_of_cells, paint

HEIGHT, WIDTH = 12, 15


def _ring(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float64)


def _square(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return _ring((left, top), (right, top), (right, bottom), (left, bottom))


def _maps(*shapes: Outline | FilledRegion | Bitmap) -> list[np.ndarray]:
    cells = [Cell("a", shape) for shape in shapes]
    masks = masks_of_cells(cells, HEIGHT, WIDTH)
    return [paint(masks, [number]) == number + 1 for number in range(len(cells))]


def _box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[top:bottom, left:right] = True
    return expected


def test_a_polygon_along_the_edges_of_pixels_has_these_pixels() -> None:
    (found,) = _maps(Outline([[_square(2, 3, 7, 5)]]))
    np.testing.assert_array_equal(found, _box(3, 2, 5, 7))


def test_centres_on_edges_belong_to_one_of_two_neighbours() -> None:
    left, right = _maps(
        Outline([[_square(1.5, 1.5, 4.5, 3.5)]]), Outline([[_square(4.5, 1.5, 6.5, 3.5)]])
    )
    np.testing.assert_array_equal(left, _box(1, 1, 3, 4))
    np.testing.assert_array_equal(right, _box(1, 4, 3, 6))


def test_holes_pieces_and_what_leaves_the_image() -> None:
    holed, pieces, cut, outside, thin = _maps(
        Outline([[_square(1, 1, 8, 8), _square(3, 3, 5, 6)]]),
        # The two pieces overlap: they are united, not set off against each other.
        Outline([[_square(0, 0, 4, 4)], [_square(2, 2, 6, 6)]]),
        Outline([[_square(-5, -5, 2, 40)]]),
        Outline([[_square(20, 2, 30, 5)], [_square(-9, 2, -1, 5)]]),
        Outline([[_square(2.6, 0, 3.4, 9)]]),
    )
    np.testing.assert_array_equal(holed, _box(1, 1, 8, 8) & ~_box(3, 3, 6, 5))
    np.testing.assert_array_equal(pieces, _box(0, 0, 4, 4) | _box(2, 2, 6, 6))
    np.testing.assert_array_equal(cut, _box(0, 0, HEIGHT, 2))
    assert not outside.any()
    assert not thin.any()


def test_a_self_crossing_ring_follows_the_even_odd_rule() -> None:
    # Round the left square twice: inside it, the count is even.
    ring = _ring((1, 1), (9, 1), (9, 7), (1, 7), (1, 1), (5, 1), (5, 7), (1, 7))
    (found,) = _maps(Outline([[ring]]))
    np.testing.assert_array_equal(found, _box(1, 5, 7, 9))


def test_regions_of_monusac_have_the_centres_on_their_edges() -> None:
    found, cut = _maps(
        FilledRegion(_ring((2, 1), (5, 1), (5, 3), (2, 3))),
        FilledRegion(_ring((-3, -3), (1, -3), (1, 90), (-3, 90))),
    )
    np.testing.assert_array_equal(found, _box(1, 2, 4, 6))
    np.testing.assert_array_equal(cut, _box(0, 0, HEIGHT, 2))


def test_bitmaps_are_cut_at_the_border() -> None:
    full = np.ones((4, 6), bool)
    found = _maps(
        Bitmap(-2, -3, full), Bitmap(10, 12, full), Bitmap(50, 2, full), Bitmap(3, 4, full)
    )
    expected = _box(0, 0, 2, 3), _box(10, 12, 12, 15), _box(0, 0, 0, 0), _box(3, 4, 7, 10)
    np.testing.assert_array_equal(found, expected)


def test_a_later_cell_lies_over_an_earlier_one() -> None:
    cells = [Cell("a", Outline([[_square(n, n, n + 4, n + 4)]])) for n in range(3)]
    masks = masks_of_cells(cells, HEIGHT, WIDTH)
    assert masks.areas.tolist() == [16, 16, 16]
    assert paint(masks, [0, 1, 2])[3, :7].tolist() == [1, 2, 3, 3, 3, 3, 0]
    assert paint(masks, [0, 1])[3, :7].tolist() == [1, 2, 2, 2, 2, 0, 0]
    assert not paint(masks, []).any()


def test_no_cell() -> None:
    masks = masks_of_cells([], HEIGHT, WIDTH)
    assert len(masks) == 0
    assert not paint(masks, []).any()


_coordinate = st.floats(-4, 18, allow_nan=False).map(lambda value: round(value, 3) + 0.0001)


@given(
    st.lists(
        st.lists(st.tuples(_coordinate, _coordinate), min_size=3, max_size=9),
        min_size=1,
        max_size=4,
    )
)
def test_pixels_are_those_whose_centres_shapely_finds_inside(
    outlines: list[list[tuple[float, float]]],
) -> None:
    """Convex hulls of random points: shapely has one opinion on these."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    hulls = [shapely.MultiPoint(points).convex_hull for points in outlines]
    hulls = [hull for hull in hulls if hull.geom_type == "Polygon"]
    shapes = [Outline([[np.array(hull.exterior.coords)]]) for hull in hulls]
    for hull, found in zip(hulls, _maps(*shapes), strict=True):
        sure = shapely.distance(hull.exterior, shapely.points(x, y)) > 1e-6
        np.testing.assert_array_equal(found[sure], shapely.contains_xy(hull, x, y)[sure])


@pytest.mark.parametrize("pieces_at_once", [1, 7, 1 << 20])
def test_the_pieces_of_the_work_make_no_difference(
    monkeypatch: pytest.MonkeyPatch, pieces_at_once: int
) -> None:
    from cellseg_mm.preparation.formats import cell_masks

    shapes = [
        Outline([[_square(n, n, n + 3.2, n + 2), _square(n + 1, n, n + 2, n + 1)]])
        for n in range(9)
    ]
    expected = _maps(*shapes)
    monkeypatch.setattr(cell_masks, "_CROSSINGS_AT_ONCE", pieces_at_once)
    monkeypatch.setattr(cell_masks, "_PIXELS_AT_ONCE", pieces_at_once)
    np.testing.assert_array_equal(_maps(*shapes), expected)
