"""One cell for each pixel, and one class for each cell, out of a stream of detections.

Detectors find overlapping masks, and one nucleus under two names. The rule of
:mod:`cellseg_mm.evaluation.label_map` decides: the better score keeps a shared pixel, and a cell
that keeps less than half of its pixels is left out, such as the worse of two detections that agree
by an IoU above one half. Before that, a cell becomes one piece without holes; of what it keeps, the
largest piece stays.
"""

from __future__ import annotations

import dataclasses
from bisect import insort
from collections.abc import Iterable, Iterator
from math import nan

import numpy as np

from cellseg_mm.evaluation.label_map import MIN_KEPT
from cellseg_mm.inference.results.cell_bitmaps import largest_piece, resized_cell, whole_cell
from cellseg_mm.inference.results.sparse_canvas import SparseCanvas
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells

_STEP = 256
"""Rows that are settled at a time, pixels."""

SAME_CELL = 0.5
"""Least IoU at which a detection under another name tells a class of the cell that is kept."""


def at_full_resolution(
    batches: Iterable[FoundCells], scale_x: float, scale_y: float, width: int, height: int
) -> Iterator[FoundCells]:
    """Move a stream of cells to the pixels of the full image.

    Args:
        batches: Cells in pixels of a view of the image.
        scale_x: Pixels of the image for each pixel of the view.
        scale_y: As ``scale_x``.
        width: Image width, pixels.
        height: Image height, pixels.
    """
    for cells, final_rows in batches:
        if scale_x != 1 or scale_y != 1:
            resized = (resized_cell(cell, scale_x, scale_y, width, height) for cell in cells)
            cells = [cell for cell in resized if cell is not None]
            # Interpolation moves an edge by less than one pixel.
            final_rows = max(int(final_rows * scale_y) - 1, 0)
        yield FoundCells(cells, min(final_rows, height))
    yield FoundCells([], height)


def unique_cells(batches: Iterable[FoundCells], class_count: int) -> Iterator[FoundCells]:
    """Settle which cells there are, and which pixels each of them has.

    Args:
        batches: What :func:`~cellseg_mm.models.test_time.tiles.merge_tiles` gives, perhaps by way
            of :func:`at_full_resolution`.
        class_count: Number of classes.

    Yields:
        Cells that share no pixel, in the order of their first pixels by rows, however the batches
        were cut. Each is one piece of 4 neighbours. A cell without probabilities gets its score as
        its class's, and that of the best detection of another class that agrees with it; the rest
        is NaN. The last batch settles the rest. Memory is that of the rows which are not final.
    """
    painted = _PaintedCells(class_count)
    waiting: list[DetectedCell] = []
    final_rows = 0
    for batch in batches:
        waiting += [whole_cell(cell) for cell in batch.cells]
        while final_rows < batch.final_rows:
            # In steps, since a row of tiles of a wide slide takes hundreds of megabytes to paint.
            final_rows = min(final_rows + _STEP, batch.final_rows)
            near = [cell for cell in waiting if cell.top < final_rows]
            far = [cell for cell in waiting if cell.top >= final_rows]
            settled, near = _split(near, final_rows)
            for cell in settled:
                painted.paint(cell)
            waiting = near + far
            yield painted.take(min([final_rows, *(cell.top for cell in near)]))
    if waiting:
        raise RuntimeError(f"{len(waiting)} cells reach below the last row, {final_rows}.")


def _split(
    cells: list[DetectedCell], final_rows: int
) -> tuple[list[DetectedCell], list[DetectedCell]]:
    """The cells that can be painted, best first, and those that must wait.

    A cell waits while a better one that it overlaps may still come, or waits itself.
    """
    ordered = sorted(cells, key=lambda c: (-c.score, c.area, c.top, c.left, c.label))
    settled: list[DetectedCell] = []
    waiting: list[DetectedCell] = []
    extents = np.zeros((len(ordered), 4), np.int64)
    for cell in ordered:
        x1, y1, x2, y2 = cell.extent
        a, b, c, d = extents[: len(waiting)].T
        if y2 > final_rows or ((a < x2) & (x1 < c) & (b < y2) & (y1 < d)).any():
            extents[len(waiting)] = cell.extent
            waiting.append(cell)
        else:
            settled.append(cell)
    return settled, waiting


class _Painted:
    """A cell that has its pixels."""

    def __init__(self, mask: DetectedCell, kept: DetectedCell) -> None:
        self.mask = mask
        self.kept = kept
        self.bottom = mask.extent[3]
        self.first_pixel = (kept.top, kept.left + int(kept.bitmap[0].argmax()))
        self.other_classes: dict[int, float] = {}


class _PaintedCells:
    """Cells in the order of their first pixels, until no overlapping one can come."""

    def __init__(self, class_count: int) -> None:
        self._class_count = class_count
        self._claims = SparseCanvas()
        self._by_claim: dict[int, _Painted] = {}
        self._ordered: list[tuple[tuple[int, int], int]] = []
        self._count = 0

    def paint(self, cell: DetectedCell) -> None:
        """Give a cell the pixels of its mask that are free, if they are most of it."""
        height, width = cell.bitmap.shape
        claims = self._claims.read(cell.left, cell.top, width, height)
        free = cell.bitmap & (claims == 0)
        count = np.count_nonzero(free)
        if count < MIN_KEPT * cell.area:
            self._note_class(cell, claims[cell.bitmap & ~free])
            return
        self._count += 1
        self._claims.paint(cell.left, cell.top, free, self._count)
        kept = cell
        if count < cell.area:
            kept = largest_piece(dataclasses.replace(cell, bitmap=free))
        painted = _Painted(cell, kept)
        self._by_claim[self._count] = painted
        insort(self._ordered, (painted.first_pixel, self._count))

    def take(self, final_rows: int) -> FoundCells:
        """Hand out the cells that no cell to come can change.

        Args:
            final_rows: All cells to come lie below these rows.
        """
        cells = []
        for _, claim in self._ordered:
            painted = self._by_claim[claim]
            if painted.bottom > final_rows:
                break
            del self._by_claim[claim]
            cells.append(self._finished(painted))
        del self._ordered[: len(cells)]
        self._claims.forget_above(final_rows)
        if self._ordered:
            final_rows = min(final_rows, self._ordered[0][0][0])
        return FoundCells(cells, final_rows)

    def _note_class(self, cell: DetectedCell, claims: np.ndarray) -> None:
        """Remember the class of a cell that is left out, if it is the same cell as a better one."""
        owners, shared = np.unique(claims, return_counts=True)
        owner = self._by_claim[int(owners[shared.argmax()])]
        union = cell.area + owner.mask.area - shared.max()
        if cell.label != owner.mask.label and shared.max() >= SAME_CELL * union:
            best = owner.other_classes.get(cell.label, 0.0)
            owner.other_classes[cell.label] = max(best, cell.score)

    def _finished(self, painted: _Painted) -> DetectedCell:
        cell = painted.kept
        if cell.probabilities:
            return cell
        known = {**painted.other_classes, cell.label: cell.score}
        probabilities = tuple(known.get(label, nan) for label in range(self._class_count))
        return dataclasses.replace(cell, probabilities=probabilities)
