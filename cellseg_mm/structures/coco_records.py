"""Boxes and instance ids of the records of an annotation file, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError


def record_boxes(
    records: Sequence[Mapping[str, Any]], height: int, width: int, source: str
) -> npt.NDArray[np.float64]:
    """Boxes of the cells of an image.

    Args:
        records: COCO annotations, each with a ``bbox`` of x, y, width and height in pixels.
        height, width: Of the image, pixels.
        source: Their file, for messages.

    Returns:
        (N, 4) float64, xyxy in pixels.

    Raises:
        UserError: A box is missing, is not four numbers, or does not lie in the image.
    """
    boxes = np.zeros((len(records), 4))
    for index, record in enumerate(records):
        box = record.get("bbox")
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            raise UserError(
                f"Annotation {record.get('id')} of {source} has the bbox {str(box)[:80]}, not four "
                "numbers: prepare the data set again."
            )
        x, y, w, h = box
        if not (0 <= x <= x + w <= width and 0 <= y <= y + h <= height):
            raise UserError(
                f"Annotation {record.get('id')} of {source} has the bbox {str(box)[:80]}, which "
                f"leaves its image of {width}×{height} (width × height): prepare the data set "
                "again."
            )
        boxes[index] = x, y, x + w, y + h
    return boxes


def record_ids(records: Sequence[Mapping[str, Any]], source: str) -> npt.NDArray[np.int64]:
    """Ids of the cells of an image in its planes, (N,) int64: the records' ``instance_id``.

    Raises:
        UserError: An id is missing, or cannot be one of a plane.
    """
    for record in records:
        number = record.get("instance_id")
        if type(number) is not int or not 0 < number <= np.iinfo(np.int32).max:
            raise UserError(
                f"Annotation {record.get('id')} of {source} has the instance_id "
                f"{str(number)[:40]}, not a whole number from 1 up: prepare the data set again; "
                "COCO files of other tools go through data_prep/convert.py coco first."
            )
    return np.array([record["instance_id"] for record in records], np.int64)


def _is_number(value: object) -> bool:
    # An integer of 400 digits is none that a float holds.
    return type(value) in (int, float) and abs(value) < 1e9  # type: ignore[arg-type]
