"""Which instances of an image share pixels, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.instances import ImageInstances


class OverlappingCells(NamedTuple):
    """Pairs of instances that share pixels.

    Attributes:
        numbers: (K, 2) int64, numbers of the instances from 1.
        shared: (K,) int64, pixels.
        iou: (K,) float64.
    """

    numbers: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]


def overlapping_cells(
    instances: ImageInstances,
    masks: Mapping[int, npt.NDArray[np.integer]],
    cover: npt.NDArray[np.uint8],
) -> OverlappingCells:
    """Compare the instances of different class files; those of one file never share a pixel.

    Args:
        instances: What :func:`~cellseg_mm.preparation.instances.collect_instances` makes of them.
        masks: (H, W) label map by class number.
        cover: (H, W), the number of classes that each pixel has.

    Returns:
        The pairs, ordered by their numbers.
    """
    pairs, counts = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
    covered = np.flatnonzero(cover > 1)
    number = {c: _numbers(instances, c, mask.ravel()[covered]) for c, mask in masks.items()}
    for a, b in combinations(sorted(masks) if covered.size else [], 2):
        both = np.stack([number[a], number[b]], axis=1)
        found, shared = np.unique(both[both.all(axis=1)], axis=0, return_counts=True)
        pairs.append(found)
        counts.append(shared)
    numbers, shared = np.concatenate(pairs), np.concatenate(counts)
    union = instances.areas[numbers - 1].sum(axis=1) - shared
    return OverlappingCells(numbers, shared, shared / union)


def _numbers(
    instances: ImageInstances, class_number: int, ids: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """Numbers of the instances with these ids of a class, 0 for background."""
    # Instances are ordered by class and id, so that a class's ids lie together and rise.
    begin, end = np.searchsorted(instances.classes, [class_number, class_number + 1])
    numbers = 1 + begin + np.searchsorted(instances.raw_ids[begin:end], ids.astype(np.uint64))
    return np.where(ids != 0, numbers, 0)
