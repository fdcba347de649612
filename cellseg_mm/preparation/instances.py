"""The instances of an image, taken from its class files by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_mm.structures.planes import InstanceCrop, instance_extents


@dataclass(frozen=True)
class ImageInstances:
    """All instances of one image, ordered by (class, raw id).

    Attributes:
        crops: The N instances, with `instance_id` 1 … N.
        classes: (N,) int64, class number from 1.
        raw_ids: (N,) the value in the class file.
        boxes: (N, 4) int64, xyxy in pixels, half-open.
        areas: (N,) int64, pixels.
    """

    crops: list[InstanceCrop]
    classes: npt.NDArray[np.int64]
    raw_ids: npt.NDArray[np.uint64]
    boxes: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]


def collect_instances(masks: Mapping[int, npt.NDArray[np.integer]]) -> ImageInstances:
    """Gather the instances of an image.

    One value of one class file is one instance, connected or not; the same value in two class files
    is two instances.

    Args:
        masks: (H, W) label map by class number from 1, 0 = background.
    """
    crops: list[InstanceCrop] = []
    classes: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    raw_ids: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    all_boxes: list[npt.NDArray[np.int64]] = [np.zeros((0, 4), np.int64)]
    all_areas: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for number, mask in sorted(masks.items()):
        # Raw ids may be sparse and huge: consecutive labels keep the tables below small.
        ids, labels = consecutive_labels(mask)
        boxes, areas = instance_extents(labels[None])
        for label in range(1, len(ids) + 1):
            x1, y1, x2, y2 = boxes[label]
            bitmap = labels[y1:y2, x1:x2] == label
            crops.append(InstanceCrop(len(crops) + 1, int(y1), int(x1), bitmap))
        classes.append(np.full(len(ids), number, np.int64))
        raw_ids.append(ids.astype(np.uint64))
        all_boxes.append(boxes[1:])
        all_areas.append(areas[1:])
    return ImageInstances(
        crops,
        np.concatenate(classes),
        np.concatenate(raw_ids),
        np.concatenate(all_boxes),
        np.concatenate(all_areas),
    )


def consecutive_labels(
    mask: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.int32]]:
    """Relabel a label map 1 … N in the order of its ids.

    Returns:
        ids: (N,) the sorted ids; label k stands for `ids[k - 1]`.
        labels: (H, W) int32.
    """
    labels = np.zeros(mask.shape, np.int32)
    foreground = mask != 0
    ids, inverse = np.unique(mask[foreground], return_inverse=True)
    labels[foreground] = inverse + 1
    return ids, labels
