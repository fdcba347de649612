"""A label map of an image of any size, written as a tiled TIFF while its cells are being found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.evaluation.label_map import MIN_KEPT
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells

LabelMap = npt.NDArray[np.uint32]

_TILE = 256
_CLASSIC_BYTES = 2**32 - 2**25
"""What a TIFF can hold that is no BigTIFF, with room for its directory."""


def write_label_map(path: Path, height: int, width: int, batches: Iterable[FoundCells]) -> None:
    """Write the label map of a stream of cells.

    The value of the n-th cell of the stream, from 1, is n; 0 is background. Where masks overlap,
    the same rule holds as in :mod:`cellseg_mm.evaluation.label_map`: the better score keeps a
    pixel, and a cell that keeps less than half of its pixels is left out.

    Memory is that of the rows from the first one that is not final to the last one that a cell
    reaches.

    Args:
        path: File to write: uint32, zlib, in tiles; a BigTIFF where 4 GB may not suffice.
        height: Image height, pixels.
        width: Image width, pixels.
        batches: What :func:`~cellseg_mm.models.test_time.tiles.stream_tiled` gives.
    """
    strips = _strips(height, width, batches)
    tiles = (strip[:, x : x + _TILE] for strip in strips for x in range(0, width, _TILE))
    tifffile.imwrite(
        path,
        tiles,
        shape=(height, width),
        dtype=np.uint32,
        photometric="minisblack",
        tile=(_TILE, _TILE),
        compression="zlib",
        metadata=None,
        bigtiff=4 * height * width > _CLASSIC_BYTES,
        maxworkers=1,  # more would draw tiles ahead of their need
    )


def _strips(height: int, width: int, batches: Iterable[FoundCells]) -> Iterator[LabelMap]:
    """The label map in strips as high as a tile, the last one perhaps lower."""
    canvas = _Canvas(width)
    waiting: list[tuple[int, DetectedCell]] = []
    count = final_rows = 0
    for batch in batches:
        waiting += enumerate(batch.cells, start=count + 1)
        count += len(batch.cells)
        if batch.final_rows == final_rows:
            continue
        final_rows = batch.final_rows
        settled, waiting = _split(waiting, final_rows)
        for value, cell in settled:
            canvas.paint(value, cell)
        done = min([final_rows, *(cell.top for _, cell in waiting)])
        while canvas.top + _TILE <= done:
            yield canvas.cut_strip()
    while canvas.top < height:
        rest = height - canvas.top
        yield canvas.cut_strip()[:rest]


def _split(
    cells: list[tuple[int, DetectedCell]], final_rows: int
) -> tuple[list[tuple[int, DetectedCell]], list[tuple[int, DetectedCell]]]:
    """The cells that can be painted, best first, and those that must wait.

    A cell waits while a better one that it overlaps may still come, or waits itself.
    """
    ordered = sorted(cells, key=lambda entry: (-entry[1].score, entry[1].area, entry[0]))
    settled: list[tuple[int, DetectedCell]] = []
    waiting: list[tuple[int, DetectedCell]] = []
    extents = np.zeros((len(ordered), 4), np.int64)
    for value, cell in ordered:
        x1, y1, x2, y2 = cell.extent
        others = extents[: len(waiting)]
        if (
            y2 > final_rows
            or (
                (others[:, 0] < x2)
                & (x1 < others[:, 2])
                & (others[:, 1] < y2)
                & (y1 < others[:, 3])
            ).any()
        ):
            extents[len(waiting)] = cell.extent
            waiting.append((value, cell))
        else:
            settled.append((value, cell))
    return settled, waiting


class _Canvas:
    """The rows of the label map from ``top`` on, as far as they are needed, in strips."""

    def __init__(self, width: int) -> None:
        self.top = 0
        self._width = width
        self._strips: deque[LabelMap] = deque()

    def paint(self, value: int, cell: DetectedCell) -> None:
        """Paint a cell where no other is, if that is most of it."""
        _, y1, _, y2 = cell.extent
        numbers = range((y1 - self.top) // _TILE, (y2 - 1 - self.top) // _TILE + 1)
        while len(self._strips) < numbers.stop:
            self._strips.append(self._empty_strip())
        parts = []
        for number in numbers:
            top = self.top + number * _TILE
            rows = slice(max(y1 - top, 0), min(y2 - top, _TILE))
            window = self._strips[number][rows, cell.left : cell.extent[2]]
            free = cell.bitmap[top + rows.start - y1 : top + rows.stop - y1] & (window == 0)
            parts.append((window, free))
        if sum(np.count_nonzero(free) for _, free in parts) >= MIN_KEPT * cell.area:
            for window, free in parts:
                window[free] = value

    def cut_strip(self) -> LabelMap:
        """Take the uppermost strip away."""
        self.top += _TILE
        return self._strips.popleft() if self._strips else self._empty_strip()

    def _empty_strip(self) -> LabelMap:
        return np.zeros((_TILE, self._width), np.uint32)
