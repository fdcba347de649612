"""What several overlapping tiles found, brought together so that each cell appears once.

A cell near a seam is found in up to four tiles (more where tiles overlap by over half), whole in
some and cut by the border of others. Three rules tell which detections of two tiles are one cell:

1. *Agreement.* Two detections of one class are the same cell when their masks agree, with IoU ≥
   ``AGREEMENT``, inside the pixels that their tiles share. A detection has one partner at most in
   another tile, the one that agrees best. Neighbours that touch never agree, however much of each
   is in sight.
2. *Two names.* Detections that have no partner of their class, but agree with each other, are one
   cell to which the tiles give different classes.
3. *Slivers.* What a border leaves of a cell may be too thin to agree with anything: a pixel more or
   less decides. A cut detection that still has no partner in the other tile is a piece of the
   detection there that covers most of it, give or take ``SLACK`` pixels, whatever their classes.

Of the detections of one cell that are whole, the one deepest inside its tile is kept: its model saw
most of the surroundings, while scores of different tiles do not compare. A cell that every tile
cuts is the union of its pieces. A cut detection that nothing else explains is kept as it is.

For a model that returns the truth of each tile, the result is the truth, pixel by pixel, for
connected cells (8 neighbours) of any length and an overlap of one pixel or more. Where cells of one
class overlap each other, they must differ inside what tiles share. With a real model, cells up to
the overlap less 2 × ``SLACK`` are whole in some tile, and longer ones are joined, so the overlap
should exceed most cells' diameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.models.test_time.tile_grid import Extent, Tile

BoolArray = npt.NDArray[np.bool_]

AGREEMENT = 0.5
"""Least IoU, inside the shared pixels, of two detections of one cell; also a sliver's least part
that must be covered."""

SLACK = 2
"""How exact a model's outline is at a tile's border, pixels: what ends nearer to it is cut."""

_GROWING = np.ones((2 * SLACK + 1, 2 * SLACK + 1), np.uint8)


@dataclass(frozen=True, eq=False)
class DetectedCell:
    """One detection in an image of any size.

    Attributes:
        box: xyxy in image pixels, as the model predicts it: not necessarily the mask's extent.
        score: The model's confidence.
        label: Index of the class.
        left: Column of the mask's left edge in the image, pixels.
        top: Row of the mask's upper edge in the image, pixels.
        bitmap: (h, w) bool, the mask inside its extent; it has a pixel on each side.
        probabilities: Of the classes, without the background; empty if the model gives none.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    left: int
    top: int
    bitmap: BoolArray
    probabilities: tuple[float, ...] = ()

    @cached_property
    def extent(self) -> Extent:
        """The mask's extent."""
        height, width = self.bitmap.shape
        return self.left, self.top, self.left + width, self.top + height

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.bitmap))

    def window(self, extent: Extent) -> BoolArray:
        """The part of the bitmap inside an extent that overlaps the mask's."""
        x1, y1, x2, y2 = _intersection(extent, self.extent)
        return self.bitmap[y1 - self.top : y2 - self.top, x1 - self.left : x2 - self.left]


class SeamMerger:
    """Brings together what tiles found, row by row of tiles.

    Holds the detections that tiles to come may see, too: those near the seams of one row of tiles,
    however large the image is.
    """

    def __init__(self) -> None:
        self._waiting: list[_Sighting] = []

    def add(self, tile: Tile, cells: Iterable[DetectedCell]) -> list[DetectedCell]:
        """Take what one tile found.

        Args:
            tile: A tile in the row of the one before it, or in the next row.
            cells: Its detections, with pixels inside the tile only.

        Returns:
            Those that lie where no other tile looks.
        """
        done, new = [], []
        for cell in cells:
            if _contains(tile.alone, _grown(cell.extent)):
                done.append(cell)
            else:
                new.append(_Sighting(cell, tile))
        around = [s for s in self._waiting if _overlap(_grown(s.cell.extent), tile.extent)]
        pairs = list(_near_pairs(new, around))
        _join_agreeing([(a, b) for a, b in pairs if a.cell.label == b.cell.label])
        _join_agreeing([(a, b) for a, b in pairs if a.cell.label != b.cell.label])
        _join_slivers(pairs)
        self._waiting += new
        return done

    def finish(self, bottom: float) -> list[DetectedCell]:
        """Hand out the cells that end above a row of pixels.

        Args:
            bottom: No tile to come has a pixel above this row.
        """
        sightings = {id(s.cluster): s.cluster for s in self._waiting}
        done = [
            cluster
            for cluster in sightings.values()
            if max(s.cell.extent[3] for s in cluster.sightings) + SLACK <= bottom
        ]
        gone = {id(cluster) for cluster in done}
        self._waiting = [s for s in self._waiting if id(s.cluster) not in gone]
        return [cell for cluster in done for cell in cluster.cells()]

    @property
    def top(self) -> float:
        """The uppermost row of pixels that a waiting detection has; infinite if none waits."""
        return min((s.cell.top for s in self._waiting), default=float("inf"))


class _Sighting:
    """A detection of one tile."""

    def __init__(self, cell: DetectedCell, tile: Tile) -> None:
        self.cell = cell
        self.tile = tile
        self.depth = tile.depth(cell.extent)
        self.cluster = _Cluster(self)

    @property
    def is_cut(self) -> bool:
        """Whether the tile's border cuts the cell, or nearly touches it."""
        return self.depth < SLACK

    @cached_property
    def grown(self) -> BoolArray:
        """The mask grown by ``SLACK`` on all sides, inside its grown extent."""
        padded = np.pad(self.cell.bitmap.view(np.uint8), SLACK)
        return cv2.dilate(padded, _GROWING).astype(bool)


class _Cluster:
    """Sightings of one cell."""

    def __init__(self, sighting: _Sighting) -> None:
        self.sightings = [sighting]
        self.tiles = {sighting.tile}

    def absorb(self, other: _Cluster) -> None:
        for sighting in other.sightings:
            sighting.cluster = self
        self.sightings += other.sightings
        self.tiles |= other.tiles

    def cells(self) -> list[DetectedCell]:
        """The cell; or more than one, if whole sightings got here that are not the same cell."""
        whole = [s for s in self.sightings if not s.is_cut]
        if not whole:
            return [_union([s.cell for s in self.sightings])]
        kept: list[DetectedCell] = []
        for sighting in sorted(whole, key=lambda s: (s.depth, s.cell.score), reverse=True):
            if all(_iou(sighting.cell, cell) < AGREEMENT for cell in kept):
                kept.append(sighting.cell)
        return kept


def _near_pairs(
    new: Sequence[_Sighting], old: Sequence[_Sighting]
) -> Iterator[tuple[_Sighting, _Sighting]]:
    """Pairs of a new and an old sighting that share a pixel or nearly do."""
    if not (new and old):
        return
    a, b = (np.array([s.cell.extent for s in group]) for group in (new, old))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    for i, j in np.argwhere((high + SLACK > low).all(axis=2)).tolist():
        yield new[i], old[j]


def _join_agreeing(pairs: Sequence[tuple[_Sighting, _Sighting]]) -> None:
    """First and second rule."""
    agreeing = []
    for a, b in pairs:
        iou = _iou(a.cell, b.cell, _intersection(a.tile.extent, b.tile.extent))
        if iou >= AGREEMENT:
            agreeing.append((iou, a, b))
    agreeing.sort(key=lambda entry: entry[0], reverse=True)
    for _, a, b in agreeing:
        if a.cluster.tiles.isdisjoint(b.cluster.tiles):
            a.cluster.absorb(b.cluster)


def _join_slivers(pairs: Sequence[tuple[_Sighting, _Sighting]]) -> None:
    """Third rule."""
    covered = []
    for pair in pairs:
        for sliver, cell in (pair, pair[::-1]):
            if sliver.is_cut and cell.tile not in sliver.cluster.tiles:
                share = _covered_share(sliver, cell)
                if share >= AGREEMENT:
                    covered.append((share, sliver, cell))
    covered.sort(key=lambda entry: entry[0], reverse=True)
    for _, sliver, cell in covered:
        if cell.tile not in sliver.cluster.tiles:
            cell.cluster.absorb(sliver.cluster)


def _iou(a: DetectedCell, b: DetectedCell, region: Extent | None = None) -> float:
    """IoU of two masks, inside a region if one is given; 0 where both are empty."""
    extents = [a.extent, b.extent]
    if region is not None:
        extents = [_intersection(extent, region) for extent in extents]
    both = _intersection(*extents)
    if not _overlap(*extents):
        return 0.0
    intersection = np.count_nonzero(a.window(both) & b.window(both))
    areas = [np.count_nonzero(c.window(e)) for c, e in zip((a, b), extents, strict=True)]
    return float(intersection / max(sum(areas) - intersection, 1))


def _covered_share(sliver: _Sighting, cell: _Sighting) -> float:
    """The part of a sighting that lies where the other's tile looks and on its grown mask."""
    x1, y1, *_ = grown_extent = _grown(cell.cell.extent)
    extents = (sliver.cell.extent, grown_extent)
    left, top, right, bottom = _intersection(_intersection(*extents), cell.tile.extent)
    if left >= right or top >= bottom:
        return 0.0
    covering = cell.grown[top - y1 : bottom - y1, left - x1 : right - x1]
    covered = np.count_nonzero(sliver.cell.window((left, top, right, bottom)) & covering)
    return covered / sliver.cell.area


def _union(cells: Sequence[DetectedCell]) -> DetectedCell:
    """One cell of all pieces; the largest one names the class."""
    if len(cells) == 1:
        return cells[0]
    extents = np.array([cell.extent for cell in cells])
    left, top = extents[:, :2].min(axis=0).tolist()
    right, bottom = extents[:, 2:].max(axis=0).tolist()
    bitmap = np.zeros((bottom - top, right - left), bool)
    for cell in cells:
        x1, y1, x2, y2 = cell.extent
        bitmap[y1 - top : y2 - top, x1 - left : x2 - left] |= cell.bitmap
    boxes = np.array([cell.box for cell in cells])
    x1, y1 = boxes[:, :2].min(axis=0).tolist()
    x2, y2 = boxes[:, 2:].max(axis=0).tolist()
    largest = max(cells, key=lambda cell: cell.area)
    return DetectedCell(
        box=(x1, y1, x2, y2),
        score=max(cell.score for cell in cells),
        label=largest.label,
        left=left,
        top=top,
        bitmap=bitmap,
        probabilities=largest.probabilities,
    )


def _grown(extent: Extent) -> Extent:
    return extent[0] - SLACK, extent[1] - SLACK, extent[2] + SLACK, extent[3] + SLACK


def _intersection(a: Extent, b: Extent) -> Extent:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _overlap(a: Extent, b: Extent) -> bool:
    x1, y1, x2, y2 = _intersection(a, b)
    return x1 < x2 and y1 < y2


def _contains(outer: tuple[float, float, float, float], inner: Extent) -> bool:
    x1, y1, x2, y2 = outer
    return x1 <= inner[0] and y1 <= inner[1] and inner[2] <= x2 and inner[3] <= y2
