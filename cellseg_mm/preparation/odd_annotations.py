"""What is odd about annotated cells before they become pixels, for the audit to tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from cellseg_mm.preparation.formats.annotated_image import (
    Bitmap,
    Cell,
    FilledRegion,
    Outline,
    Ring,
    Runs,
    drawn_in,
)
from cellseg_mm.preparation.raw_facts import CellNote, NotedCells
from cellseg_mm.structures.mask_runs import MaskRuns

BEYOND = 1.0
"""Pixels beyond the border from which a cell counts as cut off: many outlines end at it."""

SAME_CELL_IOU = 0.9
"""Two cells of a class above this are one cell that was annotated twice."""

DOUBTFUL_SHARE = 0.05
"""Share of its area that a crossing outline leaves in doubt; a line to and fro encloses none."""

_MOST_PLACES = 12


def note_odd_cells(
    name: str, cells: Sequence[Cell], size: tuple[int, int], repeated: Sequence[int]
) -> list[NotedCells]:
    """Look for cells outside of an image and for outlines that cross themselves.

    Args:
        name: The image.
        cells: Its N cells.
        size: Height and width of the image, pixels.
        repeated: Numbers of the cells, from 0, that are annotated twice: :func:`repeated_cells`.
    """
    extents, corner = _extents(cells, size), np.array(size[::-1])
    beyond = np.maximum(-extents[:, :2], extents[:, 2:] - corner).max(axis=1)
    apart = (extents[:, :2] >= corner) | (extents[:, 2:] <= 0)
    outside = apart.any(axis=1)
    found: dict[CellNote, npt.NDArray[np.int64]] = {
        "outside": np.flatnonzero(outside),
        "cut off": np.flatnonzero(~outside & (beyond > BEYOND)),
        "self-crossing": _self_crossing(cells),
        "repeated": np.array(repeated, np.int64),
    }
    return [
        NotedCells(name, kind, len(numbers), _centres(extents[numbers[:_MOST_PLACES]]))
        for kind, numbers in found.items()
        if len(numbers)
    ]


def repeated_cells(
    masks: MaskRuns, numbers: Sequence[int], label_map: npt.NDArray[np.uint32]
) -> list[int]:
    """Cells of a class that a later one repeats.

    A cell that is repeated is hidden by the other: what lies over a pixel in its middle is the one
    to compare it with.

    Args:
        masks: Of all cells of the image.
        numbers: The K cells of the class, from 0.
        label_map: (H, W), 1 + number of the cell; see
            :func:`~cellseg_mm.preparation.formats.cell_masks.paint`.

    Returns:
        Their numbers.
    """
    lower = np.array(numbers, np.int64)
    lower = lower[masks.areas[lower] > 0]
    middle = (masks.offsets[lower] + masks.offsets[lower + 1]) // 2
    column, row = np.divmod((masks.starts[middle] + masks.ends[middle]) // 2, masks.height)
    upper = label_map[row, column].astype(np.int64) - 1
    hidden = (upper >= 0) & (upper != lower)
    lower, upper = lower[hidden], upper[hidden]
    pairs = np.tile(np.arange(len(lower)), 2)
    # Two masks vote: more than half of the votes are both.
    both = masks.take(np.concatenate([lower, upper])).vote(pairs, 0.75).areas
    iou = both / (masks.areas[lower] + masks.areas[upper] - both)
    repeated: list[int] = lower[iou > SAME_CELL_IOU].tolist()
    return repeated


def _centres(extents: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    centres = ((extents[:, :2] + extents[:, 2:]) / 2).round(1).tolist()
    return tuple((x, y) for x, y in centres)


def _extents(cells: Sequence[Cell], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """(N, 4) boxes xyxy of the cells as annotated, where pixel (c, r) spans c to c + 1, r to r + 1.

    A cell without a point has a box of NaN, which nothing compares to.
    """
    extents = np.full((len(cells), 4), np.nan)
    for number, cell in enumerate(cells):
        if isinstance(cell.shape, Bitmap):
            top, left, mask = cell.shape
            height, width = mask.shape
            extents[number] = left, top, left + width, top + height
        elif isinstance(cell.shape, Runs) and len(cell.shape.starts):
            one_mask = np.array([0, len(cell.shape.starts)])
            extents[number] = MaskRuns(*cell.shape, one_mask, *size).boxes[0]
    rings = list(_rings(cells, every=True))
    if rings:
        owners = np.array([number for number, _ in rings])
        sizes = np.array([len(ring) for _, ring in rings])
        points = np.concatenate([ring for _, ring in rings])
        starts = np.cumsum(sizes) - sizes
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        known = owners[first]
        # Rings of a cell follow each other, so that its points lie together.
        extents[known, :2] = np.minimum.reduceat(points, starts[first])
        extents[known, 2:] = np.maximum.reduceat(points, starts[first])
    return extents


def _rings(cells: Sequence[Cell], every: bool) -> Iterable[tuple[int, Ring]]:
    """Number of the cell and vertices of its rings: of every one, or the outer ones alone."""
    for number, cell in enumerate(cells):
        if isinstance(cell.shape, FilledRegion):
            if len(cell.shape.vertices):
                yield number, drawn_in(cell.shape.vertices + 0.5)
        elif isinstance(cell.shape, Outline):
            for polygon in cell.shape.polygons:
                for ring in polygon if every else polygon[:1]:
                    if len(ring):
                        yield number, drawn_in(ring)


def _self_crossing(cells: Sequence[Cell]) -> npt.NDArray[np.int64]:
    """Numbers of the cells with an outer ring that crosses itself and encloses more than one area.

    The share in doubt is what lies within the ring, but not in its largest piece by the even-odd
    rule.
    """
    rings = [(number, ring) for number, ring in _rings(cells, every=False) if len(ring) > 3]
    if not rings:
        return np.zeros(0, np.int64)
    owners = np.array([number for number, _ in rings])
    position = np.repeat(np.arange(len(rings)), [len(ring) for _, ring in rings])
    lines = shapely.linearrings(np.concatenate([ring for _, ring in rings]), indices=position)
    polygons = shapely.polygons(lines)
    crossing = np.flatnonzero(~shapely.is_valid(polygons))
    faces, face_of = shapely.get_parts(
        shapely.polygonize(shapely.node(lines[crossing])[:, None]), return_index=True
    )
    enclosed = np.bincount(face_of, shapely.area(faces), minlength=len(crossing))
    largest = np.zeros(len(crossing))
    pieces, piece_of = shapely.get_parts(shapely.make_valid(polygons[crossing]), return_index=True)
    pieces, of_piece = shapely.get_parts(pieces, return_index=True)  # a collection may hold another
    np.maximum.at(largest, piece_of[of_piece], shapely.area(pieces))
    return np.unique(owners[crossing[enclosed - largest > DOUBTFUL_SHARE * enclosed]])
