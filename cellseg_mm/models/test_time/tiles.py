"""Inference in overlapping tiles, for images that do not fit into the model or into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from cellseg_mm.models.test_time.seams import DetectedCell, SeamMerger
from cellseg_mm.models.test_time.tile_grid import Tile, tile_rows
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.rle_masks import RLEMasks

ReadRegion = Callable[[int, int, int, int], Tensor]
"""(x1, y1, x2, y2), half-open → (3, y2 - y1, x2 - x1) uint8."""

Predict = Callable[[Tensor], InstanceData]
"""A region → ``bboxes`` (N, 4) float xyxy, ``scores`` (N,), ``labels`` (N,) and ``masks``
``RLEMasks``, all in the region's pixels."""


class FoundCells(NamedTuple):
    """What one more tile settles.

    Attributes:
        cells: Detections in image pixels, each given once.
        final_rows: No cell that is still to come has a pixel in the image's first rows, of this
            number.
    """

    cells: list[DetectedCell]
    final_rows: int


def predict_tiled(
    read: ReadRegion, height: int, width: int, predict: Predict, tile: int, overlap: int
) -> InstanceData:
    """Predict an image tile by tile; cells on seams appear once.

    See :mod:`cellseg_mm.models.test_time.seams` for what is one cell, and what is guaranteed.

    Args:
        read: Reads a region of the image.
        height, width: Of the image, pixels.
        predict: The model.
        tile: Side of a tile, pixels.
        overlap: Pixels that neighbouring tiles share at least.

    Returns:
        Detections of the image on the host, best first: ``bboxes``, ``scores``, ``labels`` and
        ``masks``. Those without a pixel in their mask are left out.

    Raises:
        ValueError: The overlap is not between 1 and ``tile`` - 1.
    """
    found = (
        cells_of(predict(read(*square.extent)), *square.extent[:2])
        for row in tile_rows(height, width, tile, overlap)
        for square in row
    )
    batches = merge_tiles(tile_rows(height, width, tile, overlap), height, found)
    cells = [cell for batch in batches for cell in batch.cells]
    cells.sort(key=lambda cell: cell.score, reverse=True)
    return InstanceData(
        bboxes=torch.tensor([cell.box for cell in cells]).reshape(-1, 4),
        scores=torch.tensor([cell.score for cell in cells], dtype=torch.float32),
        labels=torch.tensor([cell.label for cell in cells], dtype=torch.int64),
        masks=encode_cells(cells, height, width),
    )


def merge_tiles(
    rows: Iterator[list[Tile]], height: int, found: Iterable[Iterable[DetectedCell]]
) -> Iterator[FoundCells]:
    """Bring together what tiles found; give cells as soon as no further tile can change them.

    Memory does not grow with the image's height, and with its width only by the detections near the
    seams of one row of tiles.

    Args:
        rows: The tiles.
        height: Image height, pixels.
        found: Detections of each tile, in the order of the tiles, in image pixels; drawn one by
            one.

    Yields:
        What each tile settles; the last one settles the rest.
    """
    merger = SeamMerger()
    cells = iter(found)
    final_rows = 0
    row, following = next(rows), next(rows, None)
    while True:
        for square in row:
            settled = merger.add(square, next(cells))
            if square is row[-1]:
                bottom = inf if following is None else following[0].extent[1]
                settled += merger.finish(bottom)
                final_rows = int(min(bottom, merger.top, height))
            yield FoundCells(settled, final_rows)
        if following is None:
            return
        row, following = following, next(rows, None)


def encode_cells(cells: Sequence[DetectedCell], height: int, width: int) -> RLEMasks:
    """Masks of cells as COCO RLE at the size of the image, without a bitmap of that size.

    Args:
        cells: N cells inside the image.
        height, width: Of the image, pixels.
    """
    parts = [np.zeros((3, 0), np.int64)]
    for index, cell in enumerate(cells):
        column, row = np.nonzero(cell.bitmap.T)
        pixels = (column + cell.left) * height + row + cell.top
        breaks = np.flatnonzero(np.diff(pixels) != 1)
        starts, ends = pixels[np.append(0, breaks + 1)], pixels[np.append(breaks, -1)] + 1
        parts.append(np.stack([np.full_like(starts, index), starts, ends]))
    index, starts, ends = np.concatenate(parts, axis=1)
    return RLEMasks.from_runs(MaskRuns.gather(index, starts, ends, (len(cells), height, width)))


def cells_of(found: InstanceData, x: int, y: int) -> Iterator[DetectedCell]:
    """Detections of a region whose corner is at (x, y), in image pixels.

    Those that have no pixel are left out.
    """
    if not len(found):
        return
    boxes = found.bboxes.cpu().numpy().astype(np.float64) + np.array([x, y, x, y])
    for crop, box, score, label in zip(
        found.masks.runs.crops(),
        boxes.tolist(),
        found.scores.tolist(),
        found.labels.tolist(),
        strict=True,
    ):
        if crop.bitmap.size:
            yield DetectedCell(tuple(box), score, label, crop.left + x, crop.top + y, crop.bitmap)
