"""From planes to COCO annotations, without a full-size bitmap for any instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.planes import IntArray, instance_extents

Record = dict[str, Any]


def annotations_from_planes(
    planes: IntArray, categories: npt.NDArray[np.integer], image_id: int
) -> list[Record]:
    """Describe every instance of an image as a COCO annotation.

    Args:
        planes: (P, H, W) ids 1 … N; all pixels of an id lie in one plane.
        categories: (N,) category id of each instance, 0 where it is ignored.
        image_id: Id of the image.

    Returns:
        N annotations in the order of `instance_id`, without `id`, which
        :func:`coco_dataset` gives.

    Raises:
        ValueError: An id from 1 to N has no pixel, or there are more ids.
    """
    boxes, areas = instance_extents(planes)
    if len(areas) != len(categories) + 1 or not areas[1:].all():
        raise UserError(
            f"The planes hold the ids {np.flatnonzero(areas).tolist()}, but each of 1 to "
            f"{len(categories)} must occur."
        )
    _, height, width = planes.shape
    counts = MaskRuns.from_planes(planes, len(categories)).encode()
    records = []
    for instance_id, (category, text) in enumerate(zip(categories, counts, strict=True), start=1):
        x1, y1, x2, y2 = (int(value) for value in boxes[instance_id])
        records.append(
            {
                "image_id": image_id,
                "category_id": int(category),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(areas[instance_id]),
                "iscrowd": int(category == 0),
                "segmentation": {"size": [height, width], "counts": text},
                "instance_id": instance_id,
            }
        )
    return records


def coco_dataset(
    images: Sequence[Record], annotations: Iterable[Record], classes: Sequence[str]
) -> Record:
    """Put together a COCO file.

    Args:
        images: The image records.
        annotations: Annotations of these images, without `id`.
        classes: Class names; category ids count from 1.

    Returns:
        The data set; annotation ids count from 1, as COCO's evaluation takes id 0 for "no match".
        An ignored instance (category 0) stands there once for each category, with `iscrowd` 1:
        COCO's evaluation then passes over detections of every class that lie on it.
    """
    records: list[Record] = []
    for annotation in annotations:
        if annotation.get("category_id") == 0:
            every = range(1, len(classes) + 1)
            records += ({**annotation, "category_id": category} for category in every)
        else:
            records.append(annotation)
    return {
        "images": list(images),
        "annotations": [{"id": number, **a} for number, a in enumerate(records, start=1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
    }
