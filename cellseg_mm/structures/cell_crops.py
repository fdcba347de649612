"""Cells cut out of planes or RLE masks, each a bitmap inside its box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cellseg_mm.structures.planes import InstanceCrop, IntArray, instance_extents
from cellseg_mm.structures.rle_pixels import rle_pixels


def cells_from_planes(planes: IntArray, instance_ids: Iterable[int]) -> Iterator[InstanceCrop]:
    """Cut the named instances out of planes, in the order of their names.

    Args:
        planes: (P, H, W) ids, 0 = background.
        instance_ids: Positive ids. One without pixels gives an empty crop.

    Yields:
        One crop for each id.
    """
    boxes, _ = instance_extents(planes)
    nowhere = np.zeros(4, np.int64)
    for instance_id in instance_ids:
        x1, y1, x2, y2 = boxes[instance_id] if instance_id < len(boxes) else nowhere
        bitmap = (planes[:, y1:y2, x1:x2] == instance_id).any(axis=0)
        yield InstanceCrop(int(instance_id), int(y1), int(x1), bitmap)


def cells_from_rles(
    rles: Sequence[Mapping[str, Any]], height: int, width: int
) -> Iterator[InstanceCrop]:
    """Decode RLE masks inside their boxes; ids are 1 … N in their order.

    Args:
        rles: N of COCO's RLE dicts, ``size`` [height, width] and ``counts`` str.
        height: Image height, pixels.
        width: Image width, pixels.

    Yields:
        One crop for each mask; an empty one for a mask without pixels.

    Raises:
        ValueError: A mask is malformed or of another size.
    """
    masks = rle_pixels(rles, height, width)
    for i, (left, top, w, h) in enumerate(masks.boxes.tolist()):
        column, row = np.divmod(masks.pixels[masks.offsets[i] : masks.offsets[i + 1]], height)
        bitmap = np.zeros((h, w), bool)
        bitmap[row - top, column - left] = True
        yield InstanceCrop(i + 1, top, left, bitmap)
