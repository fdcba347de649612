"""Planes: the truth of an image as a few integer maps instead of one bitmap for each instance.

A plane is an (H, W) integer array whose values are instance ids, 0 for background. Instances that
overlap lie in different planes, so an image of cells, which hardly ever overlap, has one plane.
NumPy only: data preparation imports this without torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.errors import MissingFileError, UserError

IntArray = npt.NDArray[np.integer]


class InstanceCrop(NamedTuple):
    """One instance, stored inside its box.

    Attributes:
        instance_id: Positive id, unique in the image.
        top: Row of the crop's upper edge in the image, pixels.
        left: Column of the crop's left edge in the image, pixels.
        bitmap: (h, w) bool, the instance's pixels.
    """

    instance_id: int
    top: int
    left: int
    bitmap: npt.NDArray[np.bool_]


def pack_planes(
    instances: Iterable[InstanceCrop], height: int, width: int
) -> npt.NDArray[np.int32]:
    """Paint instances into as few planes as a greedy rule needs.

    Each instance goes to the first plane where all of its pixels are free.

    Args:
        instances: Instances in painting order.
        height, width: Of the image, pixels.

    Returns:
        (P, H, W) int32 with P ≥ 1.
    """
    planes = [np.zeros((height, width), np.int32)]
    for instance_id, top, left, bitmap in instances:
        h, w = bitmap.shape
        window = np.s_[top : top + h, left : left + w]
        for plane in planes:
            if not plane[window][bitmap].any():
                break
        else:
            plane = np.zeros((height, width), np.int32)
            planes.append(plane)
        plane[window][bitmap] = instance_id
    return np.stack(planes)


def instance_extents(planes: IntArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Boxes and areas of all ids in one pass over the planes.

    An id that occurs in several planes is one instance: its pixels are pooled.

    Args:
        planes: (P, H, W) ids, 0 = background.

    Returns:
        boxes: (M + 1, 4) int64, xyxy in pixels, half-open (x2 and y2 lie one past the last pixel),
            indexed by id up to the largest id M; all zeros for an id without pixels.
        areas: (M + 1,) int64, pixels, indexed by id; entry 0 is 0.
    """
    _, height, width = planes.shape
    size = int(planes.max(initial=0)) + 1
    boxes = np.zeros((size, 4), np.int64)
    if size == 1:
        return boxes, np.zeros(1, np.int64)
    # All that follows works on horizontal runs of one id: there are far fewer than pixels.
    lines = planes.reshape(-1, width)
    is_start = np.ones(lines.shape, bool)
    np.not_equal(lines[:, 1:], lines[:, :-1], out=is_start[:, 1:])
    start = np.flatnonzero(is_start)
    length = np.diff(start, append=planes.size)
    ids = planes.ravel()[start].astype(np.int64)
    start, length, ids = (values[ids > 0] for values in (start, length, ids))

    areas = np.bincount(ids, length, size).astype(np.int64)
    line, column = np.divmod(start, width)
    row = line % height
    present = areas > 0
    boxes[present, :2] = width, height
    np.minimum.at(boxes[:, 0], ids, column)
    np.minimum.at(boxes[:, 1], ids, row)
    np.maximum.at(boxes[:, 2], ids, column + length)
    np.maximum.at(boxes[:, 3], ids, row + 1)
    return boxes, areas


def write_planes(path: Path, planes: IntArray) -> None:
    """Write planes (P, H, W) as a zlib TIFF: uint16, or uint32 above 65,535 instances."""
    dtype = np.uint16 if planes.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(
        path, planes.astype(dtype), photometric="minisblack", compression="zlib", metadata=None
    )


def read_planes(path: Path | str) -> npt.NDArray[np.int32]:
    """Read what :func:`write_planes` wrote.

    Returns:
        (P, H, W) int32.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a label TIFF.
    """
    try:
        pages = tifffile.imread(path)
    except FileNotFoundError:
        raise MissingFileError(
            f"The label file {path} does not exist: run data_prep/prepare.py, or set `data_root`."
        ) from None
    except Exception as error:  # damaged headers and every codec have exceptions of their own
        raise UserError(
            f"{path} is not a readable label file ({error}): write it again with "
            "data_prep/prepare.py."
        ) from error
    if not pages.size:
        raise UserError(f"{path} has no pixels: write it again with data_prep/prepare.py.")
    if pages.ndim not in (2, 3) or pages.dtype.kind not in "ui":
        raise UserError(
            f"{path} holds {pages.dtype} values of shape {pages.shape}, but planes are (P, H, W) "
            "integers: write it again with data_prep/prepare.py."
        )
    return pages.reshape(-1, *pages.shape[-2:]).astype(np.int32)
