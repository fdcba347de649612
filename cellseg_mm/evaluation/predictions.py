"""Predictions as a COCO result list, ours or another program's.

The file is a JSON list of records ``{image_id, category_id, score, segmentation, bbox}``; a zip
with one such file in it (a submission) is read, too. What other programs write differs in the
segmentation: compressed RLE, run lengths as a list, or polygons. All become compressed RLE here.
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any, TypedDict

from pycocotools import mask as coco_mask

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.structures.coco_rle import decode_counts, encode_counts

_REQUIRED = ("image_id", "category_id", "score", "segmentation")


class Prediction(TypedDict):
    """One predicted cell.

    Attributes:
        image_id: COCO image id.
        category_id: COCO category id.
        score: Finite; not necessarily a probability.
        segmentation: COCO's compressed RLE, ``size`` [height, width] and ``counts`` str.
        bbox: As it stands in the file, or the tight box xywh of the mask where it is missing. Some
            programs write xyxy, so take boxes from the masks.
    """

    image_id: int
    category_id: int
    score: float
    segmentation: dict[str, Any]
    bbox: list[float]


def load_predictions(path: Path | str, annotations: Annotations | None = None) -> list[Prediction]:
    """Read and check a COCO result list.

    Args:
        path: A `.json` file, or a `.zip` that holds one.
        annotations: The data set that was predicted. With it, image ids, category ids and sizes are
            checked, and polygons can be read.

    Returns:
        The predictions in the order of the file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a COCO result list; the message names the first bad record.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"The predictions {path} do not exist: write them with `tools/test.py --dump`."
        )
    try:
        records = json.loads(_read_text(path))
    except (ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"The predictions {path} are not readable JSON: {error}.") from error
    if not isinstance(records, list):
        raise UserError(
            f"The predictions {path} hold a {type(records).__name__}, but must be a list of "
            "records, one for each predicted cell."
        )
    predictions = []
    for number, record in enumerate(records):
        try:
            predictions.append(check_prediction(record, annotations))
        except ValueError as error:
            raise UserError(f"Record {number} of {path}: {error}") from error
    return predictions


def check_prediction(record: Any, annotations: Annotations | None = None) -> Prediction:
    """Check one record of a COCO result list and bring its mask to compressed RLE.

    Args:
        record: What the file, or another program, holds.
        annotations: The data set that was predicted, if known.

    Returns:
        A new record.

    Raises:
        ValueError: The record cannot be used.
    """
    if not isinstance(record, dict):
        raise UserError(f"a {type(record).__name__} stands where a record should be.")
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        raise UserError(f"it lacks {', '.join(missing)}.")
    for key in ("image_id", "category_id"):
        if not isinstance(record[key], int) or isinstance(record[key], bool):
            raise UserError(f"{key} is {record[key]!r}, but must be an integer.")
    score = record["score"]
    if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
        raise UserError(f"score is {score!r}, but must be a finite number.")
    size = None
    if annotations is not None:
        image = annotations.images.get(record["image_id"])
        if image is None:
            raise UserError(f"image {record['image_id']} is not in {annotations.source}.")
        if record["category_id"] not in annotations.categories:
            raise UserError(f"category {record['category_id']} is not in {annotations.source}.")
        size = [image["height"], image["width"]]
    segmentation = _compressed(record["segmentation"], size)
    box = record.get("bbox")
    if not (
        isinstance(box, list) and len(box) == 4 and all(isinstance(v, int | float) for v in box)
    ):
        box = coco_mask.toBbox(segmentation).tolist()
    return Prediction(
        image_id=record["image_id"],
        category_id=record["category_id"],
        score=float(score),
        segmentation=segmentation,
        bbox=[float(value) for value in box],
    )


def _read_text(path: Path) -> str:
    """Text of the file, or of the one JSON file in a zip."""
    if not zipfile.is_zipfile(path):
        return path.read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        if len(names) != 1:
            raise UserError(f"the zip holds {len(names)} JSON files instead of one")
        return archive.read(names[0]).decode("utf-8")


def _compressed(segmentation: Any, size: list[int] | None) -> dict[str, Any]:
    """Compressed RLE of any of COCO's three forms, checked against the image's size."""
    if isinstance(segmentation, list):
        return _from_polygons(segmentation, size)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise UserError("segmentation must be RLE with `size` and `counts`, or polygons.")
    stated = segmentation["size"]
    if (
        not isinstance(stated, list | tuple)
        or len(stated) != 2
        or not all(isinstance(v, int) and v > 0 for v in stated)
    ):
        raise UserError(f"the mask's size is {stated!r}, but must be [height, width] in pixels.")
    if size is not None and list(stated) != size:
        raise UserError(
            f"the mask's size is {list(stated)}, but its image is {size} (height, width): predict "
            "at the original size."
        )
    counts = segmentation["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    if isinstance(counts, list):
        if not all(isinstance(v, int) for v in counts):
            raise UserError("the mask's counts must be integers.")
        counts = encode_counts(counts)
    if not isinstance(counts, str):
        raise UserError(f"the mask's counts are a {type(counts).__name__}, but must be a str.")
    covered = int(decode_counts(counts).sum())
    if covered != stated[0] * stated[1]:
        raise UserError(
            f"the mask's counts cover {covered} pixels, but its size has {stated[0] * stated[1]}."
        )
    return {"size": [int(stated[0]), int(stated[1])], "counts": counts}


def _from_polygons(polygons: list[Any], size: list[int] | None) -> dict[str, Any]:
    """One mask of all polygons of a cell, filled as COCO fills them."""
    if size is None:
        raise UserError("polygons can only be read with the annotation file, for the image size.")
    for polygon in polygons:
        if (
            not isinstance(polygon, list)
            or len(polygon) < 6
            or len(polygon) % 2
            or not all(isinstance(v, int | float) and math.isfinite(v) for v in polygon)
        ):
            raise UserError("a polygon must be a list [x1, y1, x2, y2, …] of at least 3 points.")
    if not polygons:
        return {"size": size, "counts": encode_counts([size[0] * size[1]])}
    merged = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
    return {"size": size, "counts": merged["counts"].decode("ascii")}
