"""Outlines of cells on an image, drawn cell by cell inside its box."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cellseg_mm.structures.planes import InstanceCrop

BoolArray = npt.NDArray[np.bool_]
Image = npt.NDArray[np.uint8]


def draw_outlines(
    image: Image,
    cells: Iterable[InstanceCrop],
    colours: npt.ArrayLike,
    scale: float = 1.0,
    thickness: int = 1,
) -> Image:
    """Draw the outlines of cells onto a copy of an image.

    An outline consists of the cell's own outermost pixels, so those of touching cells lie side by
    side. Cells are enlarged or reduced before their outline is taken: it is equally thin at every
    scale. The cost depends on the cells' boxes, not on the number of cells times the image.

    Args:
        image: (round(H × scale), round(W × scale), 3) uint8, the picture to draw on, where (H, W)
            is the size of the image that the cells lie on.
        cells: N cells; later ones are drawn over earlier ones.
        colours: (N, 3) colour of each cell, 0 to 255, in the image's channel order.
        scale: Picture pixels for each pixel of the cells.
        thickness: Width of an outline, picture pixels.

    Returns:
        The picture, of the shape of ``image``.

    Raises:
        ValueError: There is not one colour for each cell.
    """
    canvas = image.copy()
    paint = np.asarray(colours, np.uint8).reshape(-1, 3)
    for cell, colour in zip(cells, paint, strict=True):
        _, top, left, bitmap = scaled_crop(cell, scale, *canvas.shape[:2])
        window = canvas[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
        window[outline(bitmap, thickness)] = colour
    return canvas


def scaled_crop(cell: InstanceCrop, scale: float, height: int, width: int) -> InstanceCrop:
    """A cell as it lies on a picture, sampled at the centres of the picture's pixels.

    Args:
        cell: The cell.
        scale: Picture pixels for each pixel of the cell.
        height, width: Of the picture, pixels.

    Returns:
        The cell; without a pixel if it lies between the centres.
    """
    if scale == 1:
        return cell
    rows, source_rows = _nearest(cell.top, cell.bitmap.shape[0], scale, height)
    columns, source_columns = _nearest(cell.left, cell.bitmap.shape[1], scale, width)
    if not (rows.size and columns.size):
        return InstanceCrop(cell.instance_id, 0, 0, np.zeros((0, 0), bool))
    bitmap = cell.bitmap[np.ix_(source_rows, source_columns)]
    return InstanceCrop(cell.instance_id, int(rows[0]), int(columns[0]), bitmap)


def outline(bitmap: BoolArray, thickness: int = 1) -> BoolArray:
    """The outermost pixels of a mask.

    Args:
        bitmap: (h, w) bool. What lies outside of it counts as background, so that an outline is
            closed where a cell is cut off by the image's border.
        thickness: Width of the outline, pixels.

    Returns:
        (h, w) bool: pixels of the mask from which fewer than ``thickness`` steps to a 4-neighbour
        stay in the mask.
    """
    height, width = bitmap.shape
    inner = np.zeros((height + 2, width + 2), bool)  # np.pad takes ten times as long
    inner[1:-1, 1:-1] = bitmap
    for _ in range(thickness):
        core = inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2]
        core &= inner[1:-1, 2:]
        inner[1:-1, 1:-1] = core
    return bitmap & ~inner[1:-1, 1:-1]


def _nearest(
    start: int, length: int, scale: float, limit: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sample one axis of a crop at the picture's pixel centres.

    Returns:
        The picture pixels below ``limit`` whose centres lie in [start, start + length) × scale, and
        the pixel of the crop that each of them shows.
    """
    first = math.ceil(start * scale - 0.5)
    last = math.ceil((start + length) * scale - 0.5)
    pixels = np.arange(first, min(last, limit))
    source = np.floor((pixels + 0.5) / scale).astype(np.int64) - start
    return pixels, source.clip(0, length - 1)  # rounding may lead just outside
