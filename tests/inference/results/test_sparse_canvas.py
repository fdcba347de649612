"""A canvas in tiles against one array."""

from __future__ import annotations

import numpy as np

from cellseg_mm.inference.results.sparse_canvas import TILE, SparseCanvas


def test_it_holds_what_was_painted() -> None:
    rng = np.random.default_rng(0)
    canvas, whole = SparseCanvas(), np.zeros((4 * TILE, 5 * TILE), np.uint32)
    for value in range(1, 60):
        h, w = rng.integers(1, 400, 2).tolist()
        top, left = (rng.integers(0, np.array(whole.shape) - (h, w))).tolist()
        mask = rng.random((h, w)) < 0.5
        canvas.paint(left, top, mask, value)
        whole[top : top + h, left : left + w][mask] = value
        window = canvas.read(left // 2, top // 3, 300, 280)
        np.testing.assert_array_equal(
            window, whole[top // 3 : top // 3 + 280, left // 2 : left // 2 + 300]
        )
    canvas.forget_above(TILE + 5)
    assert not canvas.take_row(0)
    for column, tile in canvas.take_row(1).items():
        expected = whole[TILE : 2 * TILE, column * TILE : (column + 1) * TILE]
        np.testing.assert_array_equal(tile, expected)
    assert not canvas.take_row(1)


def test_only_painted_tiles_are_held() -> None:
    canvas = SparseCanvas()
    canvas.paint(10**6, 3, np.ones((2, 2), bool), 9)
    assert list(canvas.take_row(0)) == [10**6 // TILE]
