"""An array as wide as a slide, of which only the parts that something is painted on take memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

TILE = 256
"""Side of a tile, pixels."""

UIntArray = npt.NDArray[np.uint32]


class SparseCanvas:
    """(any, any) uint32 in tiles; what was never painted is 0."""

    def __init__(self) -> None:
        self._tiles: dict[int, dict[int, UIntArray]] = {}

    def read(self, left: int, top: int, width: int, height: int) -> UIntArray:
        """Copy a window out: (height, width) uint32."""
        window = np.zeros((height, width), np.uint32)
        for row, column, ours, theirs in _pieces(left, top, width, height):
            if (tile := self._tiles.get(row, {}).get(column)) is not None:
                window[ours] = tile[theirs]
        return window

    def paint(self, left: int, top: int, mask: npt.NDArray[np.bool_], value: int) -> None:
        """Set the pixels of a mask, whose upper left corner lies at (left, top)."""
        for row, column, ours, theirs in _pieces(left, top, mask.shape[1], mask.shape[0]):
            if mask[ours].any():
                tiles = self._tiles.setdefault(row, {})
                if column not in tiles:
                    tiles[column] = np.zeros((TILE, TILE), np.uint32)
                tiles[column][theirs][mask[ours]] = value

    def take_row(self, row: int) -> dict[int, UIntArray]:
        """Take a row of tiles away: its painted tiles by column."""
        return self._tiles.pop(row, {})

    def forget_above(self, row: int) -> None:
        """Drop the tiles that lie above a row of pixels."""
        for tile_row in [r for r in self._tiles if (r + 1) * TILE <= row]:
            del self._tiles[tile_row]


_Slices = tuple[slice, slice]


def _pieces(
    left: int, top: int, width: int, height: int
) -> Iterator[tuple[int, int, _Slices, _Slices]]:
    """The tiles that a window touches: row, column, the part of the window, that of the tile."""
    for row in range(top // TILE, (top + height - 1) // TILE + 1):
        ours_y, theirs_y = _overlap(top, height, row * TILE)
        for column in range(left // TILE, (left + width - 1) // TILE + 1):
            ours_x, theirs_x = _overlap(left, width, column * TILE)
            yield row, column, (ours_y, ours_x), (theirs_y, theirs_x)


def _overlap(start: int, length: int, tile_start: int) -> _Slices:
    low, high = max(start, tile_start), min(start + length, tile_start + TILE)
    return slice(low - start, high - start), slice(low - tile_start, high - tile_start)
