"""From planes to COCO annotations, without a full-size bitmap for any instance.

COCO stores a mask as run lengths in column-major order. The runs of all instances of a plane come
from one pass over it, so the cost depends on the image, not on the number of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.planes import IntArray, instance_extents

Record = dict[str, Any]
Int64Array = npt.NDArray[np.int64]


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
    parts = [_column_major_runs(plane) for plane in planes]
    ids, starts, ends = map(np.concatenate, zip(*parts, strict=True))
    _, height, width = planes.shape
    counts = MaskRuns.gather(ids - 1, starts, ends, (len(categories), height, width)).encode()
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


def _column_major_runs(
    plane: npt.NDArray[np.integer],
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Ids, first and one-past-last positions of the foreground runs, column by column."""
    flat = plane.T.ravel()
    bounds = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate(([0], bounds))
    ends = np.concatenate((bounds, [flat.size]))
    ids = flat[starts].astype(np.int64)
    foreground = ids != 0
    return ids[foreground], starts[foreground], ends[foreground]
