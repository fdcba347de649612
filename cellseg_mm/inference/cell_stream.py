"""The cells of an image of any size, as they are found."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from torch import Tensor

from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tile_grid import Extent, Tile, tile_rows
from cellseg_mm.models.test_time.tiles import FoundCells, merge_tiles


class Regions(Protocol):
    """An image that is read by region.

    Attributes:
        width: Pixels.
        height: Pixels.
    """

    width: int
    height: int

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """The region from (x1, y1) up to (x2, y2): (3, y2 - y1, x2 - x1) uint8, RGB."""


FindCells = Callable[[Sequence[Tensor]], Sequence[Sequence[DetectedCell]]]
"""Regions → the cells of each, in its pixels."""


def stream_cells(
    image: Regions,
    find: FindCells,
    tile: int,
    overlap: int,
    batch: int = 1,
    touches: Callable[[int, int, int, int], bool] | None = None,
) -> Iterator[FoundCells]:
    """Find the cells of an image tile by tile, giving them as soon as no further tile changes them.

    A thread reads ahead while the model works. Memory does not grow with the image's height.

    Args:
        image: The image.
        find: The model.
        tile: Side of a tile, pixels.
        overlap: Pixels that neighbouring tiles share at least.
        batch: Tiles that go through the model together.
        touches: Whether to look at a part of the image, (x1, y1, x2, y2); None = at all of it.

    Yields:
        What each tile settles; tiles go row by row, and the last one settles the rest.

    Raises:
        UserError: The overlap does not fit the tile, or the image is damaged.
    """

    def rows() -> Iterator[list[Tile]]:
        return tile_rows(image.height, image.width, tile, overlap)

    def found() -> Iterator[Sequence[DetectedCell]]:
        with ThreadPoolExecutor(1, "read-ahead") as reader:
            tiles = (square.extent for row in rows() for square in row)
            for group in _read_ahead(image, reader, tiles, 2 * batch, touches, batch):
                seen = [(extent, region) for extent, region in group if region is not None]
                cells = iter(find([region.result() for _, region in seen]) if seen else [])
                for (x, y, *_), region in group:
                    yield [] if region is None else [_moved(cell, x, y) for cell in next(cells)]

    return merge_tiles(rows(), image.height, found())


def count_tiles(
    image: Regions, tile: int, overlap: int, touches: Callable[[int, int, int, int], bool]
) -> int:
    """How many tiles :func:`stream_cells` looks at."""
    rows = tile_rows(image.height, image.width, tile, overlap)
    return sum(touches(*square.extent) for row in rows for square in row)


_Group = list[tuple[Extent, "Future[Tensor] | None"]]


def _read_ahead(
    image: Regions,
    reader: ThreadPoolExecutor,
    tiles: Iterator[Extent],
    ahead: int,
    touches: Callable[[int, int, int, int], bool] | None,
    batch: int,
) -> Iterator[_Group]:
    """Groups of tiles, up to ``batch`` of them read in each; None for those not to be looked at."""
    waiting: deque[tuple[Extent, Future[Tensor] | None]] = deque()
    reading = 0
    try:
        while True:
            while reading < ahead and (extent := next(tiles, None)) is not None:
                wanted = touches is None or touches(*extent)
                waiting.append((extent, reader.submit(image.read, *extent) if wanted else None))
                reading += wanted
            if not waiting:
                return
            group: _Group = []
            count = 0
            while waiting and (count < batch or waiting[0][1] is None):
                group.append(waiting.popleft())
                count += group[-1][1] is not None
            reading -= count
            yield group
    finally:
        for _, region in waiting:
            if region is not None:
                region.cancel()


def _moved(cell: DetectedCell, x: int, y: int) -> DetectedCell:
    if not (x or y):
        return cell
    x1, y1, x2, y2 = cell.box
    box = (x1 + x, y1 + y, x2 + x, y2 + y)
    return dataclasses.replace(cell, box=box, left=cell.left + x, top=cell.top + y)
