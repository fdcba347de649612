"""Which pixels an annotated cell has: the one place that says so, for every format.

- A pixel belongs to a polygon if its centre lies inside, by the even-odd rule over the outer ring
  and the holes; a centre on a left or upper edge lies inside, on a right or lower one outside, so
  that neighbours never share a pixel. The pieces of a cell are united.
- A region of MoNuSAC's XML is filled as its own code does, with centres on edges inside.
- What leaves the image is cut off.
- A pixel of two cells of one class goes to the later one in the file. Cells of different classes
  keep all of their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

from cellseg_mm.preparation.formats.annotated_image import (
    Bitmap,
    Cell,
    FilledRegion,
    Outline,
    Runs,
    drawn_in,
)
from cellseg_mm.structures.mask_runs import MaskRuns

Int64Array = npt.NDArray[np.int64]

_CROSSINGS_AT_ONCE = 1 << 20
_PIXELS_AT_ONCE = 1 << 23


def masks_of_cells(cells: Sequence[Cell], height: int, width: int) -> MaskRuns:
    """The pixels of each cell, whatever other cells lie over it.

    Args:
        cells: N cells.
        height: Image height, pixels.
        width: Image width, pixels.

    Returns:
        N masks; one of a cell that is outside or misses all centres has no pixel.
    """
    parts = [
        *_outline_runs(cells, height, width),
        *(
            _bitmap_runs(number, cell.shape, height, width)
            for number, cell in enumerate(cells)
            if isinstance(cell.shape, Bitmap)
        ),
        *(
            _region_runs(number, cell.shape, height, width)
            for number, cell in enumerate(cells)
            if isinstance(cell.shape, FilledRegion)
        ),
        *(
            (np.full(len(cell.shape.starts), number), cell.shape.starts, cell.shape.ends)
            for number, cell in enumerate(cells)
            if isinstance(cell.shape, Runs)
        ),
    ]
    if not parts:
        parts = [(np.zeros(0, np.int64),) * 3]
    owners, starts, ends = _united(*map(np.concatenate, zip(*parts, strict=True)))
    return MaskRuns.gather(owners, starts, ends, (len(cells), height, width))


def paint(masks: MaskRuns, numbers: Sequence[int]) -> npt.NDArray[np.uint32]:
    """The label map of some of an image's cells.

    Args:
        masks: The masks of all cells of the image.
        numbers: The cells to paint, from 0, in the order of the file.

    Returns:
        (H, W) uint32: 1 + number of the cell, 0 = background; a later cell lies over an earlier.
    """
    labels = np.zeros((masks.height, masks.width), np.uint32)
    chosen = np.zeros(len(masks), bool)
    chosen[list(numbers)] = True
    runs = np.flatnonzero(chosen[masks.owners])
    lengths = masks.ends[runs] - masks.starts[runs]
    for part in _parts(lengths, _PIXELS_AT_ONCE):
        some, size = runs[part], lengths[part]
        passed = np.cumsum(size) - size
        pixels = np.arange(size.sum()) + np.repeat(masks.starts[some] - passed, size)
        columns, rows = np.divmod(pixels, masks.height)
        # Of several values for one pixel, NumPy keeps the last.
        labels[rows, columns] = np.repeat(masks.owners[some] + 1, size)
    return labels


def _parts(sizes: Int64Array, most: int) -> Iterator[slice]:
    """Slices of a list that hold about `most` in all, at least one entry each."""
    bounds = np.unique((np.cumsum(sizes) - sizes) // most, return_index=True)[1].tolist()
    for begin, end in pairwise([*bounds, len(sizes)]):
        yield slice(begin, end)


def _bitmap_runs(
    number: int, bitmap: Bitmap, height: int, width: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    top, left, mask = bitmap
    mask = mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    top, left = max(top, 0), max(left, 0)
    steps = np.diff(np.pad(mask, ((1, 1), (0, 0))).T.astype(np.int8), axis=1)
    column, start = np.nonzero(steps > 0)
    _, end = np.nonzero(steps < 0)
    base = (column + left) * height + top
    return np.full(len(base), number), base + start, base + end


def _region_runs(
    number: int, region: FilledRegion, height: int, width: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    rows, columns = polygon(region.vertices[:, 1], region.vertices[:, 0], (height, width))
    starts = np.sort(columns * height + rows)
    return np.full(len(starts), number), starts, starts + 1


def _outline_runs(
    cells: Sequence[Cell], height: int, width: int
) -> Iterator[tuple[Int64Array, Int64Array, Int64Array]]:
    """Cut the polygons along the columns' centres."""
    rings = [
        (number, piece, drawn_in(ring))
        for number, cell in enumerate(cells)
        if isinstance(cell.shape, Outline)
        for piece, rings_of_piece in enumerate(cell.shape.polygons)
        for ring in rings_of_piece
        if len(ring) > 2
    ]
    if not rings:
        return
    sizes = np.array([len(ring) for _, _, ring in rings])
    ends = np.cumsum(sizes)
    start = np.concatenate([ring for _, _, ring in rings])
    following = np.arange(1, len(start) + 1)
    following[ends - 1] = ends - sizes
    stop = start[following]
    owners = np.repeat([number for number, _, _ in rings], sizes)
    pieces = np.repeat([piece for _, piece, _ in rings], sizes)
    # An edge crosses the columns whose centres lie from its left end up to its right one.
    low = np.ceil(np.clip(np.minimum(start[:, 0], stop[:, 0]), 0, width) - 0.5).astype(np.int64)
    high = np.ceil(np.clip(np.maximum(start[:, 0], stop[:, 0]), 0, width) - 0.5).astype(np.int64)
    crossings = high - low
    # Edges of one cell stay together, so that its crossings are paired.
    cell_starts = np.flatnonzero(np.diff(owners, prepend=-1))
    per_cell = np.add.reduceat(crossings, cell_starts)
    bounds = np.append(cell_starts, len(owners))
    for part in _parts(per_cell, _CROSSINGS_AT_ONCE):
        edges = slice(bounds[part.start], bounds[part.stop])
        count = crossings[edges]
        passed = np.cumsum(count) - count
        edge = np.repeat(np.arange(edges.start, edges.stop), count)
        column = np.arange(count.sum()) + np.repeat(low[edges] - passed, count)
        (x0, y0), (x1, y1) = start[edge].T, stop[edge].T
        y = y0 + (column + 0.5 - x0) / (x1 - x0) * (y1 - y0)
        row = np.ceil(np.clip(y, 0, height) - 0.5).astype(np.int64)
        order = np.lexsort((y, column, pieces[edge], owners[edge]))
        begin, end = order[::2], order[1::2]
        filled = row[end] > row[begin]
        begin, end = begin[filled], end[filled]
        base = column[begin] * height
        yield owners[edge[begin]], base + row[begin], base + row[end]


def _united(
    owners: Int64Array, starts: Int64Array, ends: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Join the runs of a cell that touch or overlap, as those of several pieces may."""
    order = np.lexsort((starts, owners))
    owners, starts, ends = owners[order], starts[order], ends[order]
    if not len(owners):
        return owners, starts, ends
    # Cells follow each other at a distance in one running maximum of the ends.
    shift = owners * (int(ends.max()) + 1)
    reach = np.maximum.accumulate(ends + shift)
    new = np.append(True, starts[1:] + shift[1:] > reach[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(owners)) - 1
    return owners[first], starts[first], reach[last] - shift[last]
