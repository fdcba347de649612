"""Bitmaps of single cells: made one piece without holes, and moved to another resolution."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.models.test_time.seams import DetectedCell

BoolArray = npt.NDArray[np.bool_]

_NUDGE = 1e-3
"""Pixels by which places are moved, so that of two opposite edges that run through the centres of
pixels, one takes them in and the other leaves them out."""


def whole_cell(cell: DetectedCell) -> DetectedCell:
    """The largest piece of a cell with its holes filled.

    Pieces are of 4 neighbours, so that an outline does not touch itself. A hole is what 4
    neighbours do not connect to the outside.
    """
    piece = largest_piece(cell)
    contours, _ = cv2.findContours(
        piece.bitmap.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    filled = np.zeros(piece.bitmap.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return dataclasses.replace(piece, bitmap=filled.view(bool))


def largest_piece(cell: DetectedCell) -> DetectedCell:
    """The largest piece of a cell, by 4 neighbours; of equal ones, the first by rows."""
    count, pieces, statistics, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(cell.bitmap).view(np.uint8), connectivity=4
    )
    sizes = statistics[1:, cv2.CC_STAT_AREA]
    largest = 1 + int(sizes.argmax())
    if count > 2 and np.count_nonzero(sizes == sizes.max()) > 1:
        # OpenCV numbers pieces in an order of its own.
        ties = np.flatnonzero(sizes == sizes.max()) + 1
        flat = pieces.ravel()
        largest = int(flat[np.isin(flat, ties).argmax()])
    x, y, w, h, _ = statistics[largest].tolist()
    bitmap = pieces[y : y + h, x : x + w] == largest
    return dataclasses.replace(cell, left=cell.left + x, top=cell.top + y, bitmap=bitmap)


def resized_cell(
    cell: DetectedCell, scale_x: float, scale_y: float, width: int, height: int
) -> DetectedCell | None:
    """Move a cell to another resolution, with an outline as smooth as before.

    A pixel belongs to the cell where the mask, interpolated between the centres of its pixels,
    reaches one half.

    Args:
        cell: A cell.
        scale_x: New pixels for each old one.
        scale_y: As ``scale_x``.
        width: Image width at the new resolution, pixels.
        height: Image height at the new resolution, pixels.

    Returns:
        The cell, or None if it has no pixel left.
    """
    x1, y1, x2, y2 = cell.extent
    left, top = max(math.floor(x1 * scale_x) - 1, 0), max(math.floor(y1 * scale_y) - 1, 0)
    right = min(math.ceil(x2 * scale_x) + 1, width)
    bottom = min(math.ceil(y2 * scale_y) + 1, height)
    if left >= right or top >= bottom:
        return None
    # The place in the old bitmap that is the centre of each new pixel.
    columns = (np.arange(left, right) + 0.5) / scale_x - 0.5 - x1 + _NUDGE
    rows = (np.arange(top, bottom) + 0.5) / scale_y - 0.5 - y1 + _NUDGE
    across, down = _weights(columns, x2 - x1), _weights(rows, y2 - y1)
    mask = down @ cell.bitmap.astype(np.float32) @ across.T >= 0.5
    used_rows, used_columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not used_rows.size:
        return None
    b = cell.box
    return dataclasses.replace(
        cell,
        box=(b[0] * scale_x, b[1] * scale_y, b[2] * scale_x, b[3] * scale_y),
        left=left + int(used_columns[0]),
        top=top + int(used_rows[0]),
        bitmap=mask[
            used_rows[0] : used_rows[-1] + 1, used_columns[0] : used_columns[-1] + 1
        ].copy(),
    )


def _weights(places: npt.NDArray[np.floating], length: int) -> npt.NDArray[np.float32]:
    """(N, length), of linear interpolation at N places between pixels."""
    # Not OpenCV's, which rounds places to 1/32 of a pixel.
    distance = np.abs(places[:, None] - np.arange(length))
    return np.maximum(1 - distance, 0).astype(np.float32)
