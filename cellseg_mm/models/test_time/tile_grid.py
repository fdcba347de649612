"""Tiles that cover an image and overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from cellseg_mm.errors import UserError

Extent = tuple[int, int, int, int]
"""xyxy in image pixels, half-open."""


@dataclass(frozen=True)
class Tile:
    """One tile of an image.

    Attributes:
        extent: The tile's pixels.
        inner: As ``extent``, but infinite on the sides that are the image's border.
        alone: Where no other tile has pixels, as ``inner``; x2 ≤ x1 or y2 ≤ y1 if nowhere.
    """

    extent: Extent
    inner: tuple[float, float, float, float]
    alone: tuple[float, float, float, float]

    def depth(self, extent: Extent) -> float:
        """How far an extent lies from the borders that cut the image: 0 where it touches one.

        Infinite in a tile that is the whole image.
        """
        x1, y1, x2, y2 = self.inner
        return min(extent[0] - x1, extent[1] - y1, x2 - extent[2], y2 - extent[3])


def tile_rows(height: int, width: int, side: int, overlap: int) -> Iterator[list[Tile]]:
    """Cover an image with as few tiles as may be, all of about the same size.

    Tiles of even sizes share hardly more than they must. A last tile of full size, shifted inwards,
    would show most of its cells a second time, at the cost of a second look and of cells that are
    outlined so differently that both stay.

    Args:
        height, width: Of the image, pixels.
        side: Most of a tile's side, pixels. An axis that is shorter has one tile.
        overlap: Pixels that neighbours share; up to two more where sizes do not divide.

    Yields:
        The rows of tiles from top to bottom, each from left to right.

    Raises:
        ValueError: The overlap is not between 1 and ``side`` - 1.
    """
    if not 1 <= overlap < side:
        raise UserError(
            f"The overlap of tiles must be from 1 to {side - 1} pixels (their side less one), but "
            f"is {overlap}."
        )
    columns = _spans(width, side, overlap)
    for row in _spans(height, side, overlap):
        yield [
            Tile(*((x1, y1, x2, y2) for (x1, x2), (y1, y2) in zip(column, row, strict=True)))
            for column in columns
        ]


def _spans(length: int, side: int, overlap: int) -> list[tuple[tuple[Any, Any], ...]]:
    """Start and end of each tile's extent, inner and alone, along one axis; see :class:`Tile`."""
    count = 1 + max(0, -((side - length) // (side - overlap)))
    side = -(-(length + (count - 1) * overlap) // count)
    starts = [index * (length - side) // max(count - 1, 1) for index in range(count)]
    ends = [start + side for start in starts]
    extents = zip(starts, ends, strict=True)
    inner = zip([-inf, *starts[1:]], [*ends[:-1], inf], strict=True)
    alone = zip([-inf, *ends[:-1]], [*starts[1:], inf], strict=True)
    return list(zip(extents, inner, alone, strict=True))
