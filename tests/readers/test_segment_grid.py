"""Segments of a plane: which are decoded, and which are kept."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_mm.readers import segment_grid
from cellseg_mm.readers.pixel_values import Pixels
from cellseg_mm.readers.segment_grid import SegmentGrid


def test_only_touched_segments_are_decoded_and_few_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane = np.random.default_rng(0).integers(256, size=(100, 150, 3), dtype=np.uint8)
    decoded = []

    def decode(row: int, column: int) -> Pixels:
        decoded.append((row, column))
        return plane[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]

    monkeypatch.setattr(segment_grid, "CACHED_BYTES", 4 * 16 * 16 * 3)
    grid = SegmentGrid(150, 16, 16, decode)
    assert (grid.read(15, 15, 17, 17) == plane[15:17, 15:17]).all()
    assert decoded == [(0, 0), (0, 1), (1, 0), (1, 1)]
    grid.read(15, 15, 17, 17)
    assert len(decoded) == 4
    grid.read(32, 0, 33, 1)  # takes the place of (0, 0)
    grid.read(0, 0, 1, 1)
    assert decoded[4:] == [(0, 2), (0, 0)]
    grid.read(15, 16, 17, 17)  # (1, 0) and (1, 1) are still there; those above are forgotten
    assert len(decoded) == 6
    grid.read(32, 0, 33, 1)
    grid.read(0, 0, 1, 1)
    assert decoded[6:] == [(0, 2), (0, 0)]
    assert (grid.read(0, 0, 150, 100) == plane).all()
