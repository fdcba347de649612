"""Cells cut out of planes, each a bitmap inside its box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.structures.planes import InstanceCrop, IntArray, instance_extents, read_planes


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


def scored_cells(sample: Mapping[str, Any]) -> tuple[list[InstanceCrop], npt.NDArray[np.bool_]]:
    """Cut out the cells of a data set's sample, but for those to ignore, whose label is -1.

    Args:
        sample: With ``label_path``, ``instance_ids`` and ``labels``, as ``CellDataset`` gives them.

    Returns:
        One crop for each scored cell; (N,) which of the sample's cells they are.
    """
    scored = sample["labels"] >= 0
    planes = read_planes(sample["label_path"])
    return list(cells_from_planes(planes, sample["instance_ids"][scored])), scored
