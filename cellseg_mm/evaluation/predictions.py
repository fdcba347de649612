"""Predictions as a COCO result list, ours or another program's.

The file is a JSON list of records ``{image_id, category_id, score, segmentation, bbox}``; a zip
with one such file in it (a submission) is read, too. What other programs write differs in the
segmentation: compressed RLE, run lengths as a list, or polygons. All become compressed RLE here.
A folder that ``cellseg segment`` wrote is read like such a list.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shown
from typing import IO, Any, TypedDict, TypeGuard

from pycocotools import mask as coco_mask

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.segmented_folder import read_segmented_folder
from cellseg_mm.files.json_file import iterate_list
from cellseg_mm.structures.coco_rle import decode_counts, encode_counts

_MAX_UNPACKED_BYTES = 1 << 30
"""Three million detections of ordinary cells."""

_MAX_PIXELS = 1 << 40
"""A million pixels a side."""

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
    """Read and check a COCO result list, in the order of the file.

    Args:
        path: A `.json` file, a `.zip` that holds one, or a folder of ``cellseg segment``.
        annotations: The data set that was predicted. With it, image ids, category ids and sizes are
            checked, and polygons and folders can be read.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a COCO result list; the message names the first bad record.
    """
    path = Path(path)
    if path.is_dir() and annotations is not None:
        return [check_prediction(r, annotations) for r in read_segmented_folder(path, annotations)]
    if not path.is_file():
        raise MissingFileError(
            f"The predictions {path} do not exist: write them with `tools/test.py --dump`."
        )
    predictions: list[Prediction] = []
    try:
        with _open_json(path) as file:
            for record in iterate_list(file):
                predictions.append(check_prediction(record, annotations))
    except zipfile.BadZipFile as error:
        raise UserError(f"The predictions {path} are not a readable zip: {error}.") from error
    except UserError as error:
        raise UserError(f"Record {len(predictions)} of {path}: {error}") from error
    return predictions


def check_prediction(record: Any, annotations: Annotations | None = None) -> Prediction:
    """Check one record of a COCO result list and bring its mask to compressed RLE.

    Raises:
        ValueError: The record cannot be used, or is not of the data set that was predicted.
    """
    if not isinstance(record, dict):
        raise UserError(f"a {type(record).__name__} stands where a record should be.")
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        raise UserError(f"it lacks {', '.join(missing)}.")
    for key in ("image_id", "category_id"):
        if not is_integer(record[key]):
            raise UserError(f"{key} is {shown(record[key])}, but must be an integer.")
    score = record["score"]
    if not is_finite(score):
        raise UserError(f"score is {shown(score)}, but must be a finite number.")
    size = None
    if annotations is not None:
        image = annotations.images.get(record["image_id"])
        if image is None:
            raise UserError(f"image {record['image_id']} is not in {annotations.source}.")
        if record["category_id"] not in annotations.categories:
            raise UserError(f"category {record['category_id']} is not in {annotations.source}.")
        size = [image["height"], image["width"]]
    segmentation = compressed_mask(record["segmentation"], size)
    box = record.get("bbox")
    if not is_box(box):
        box = coco_mask.toBbox(segmentation).tolist()
    return Prediction(
        image_id=record["image_id"],
        category_id=record["category_id"],
        score=float(score),
        segmentation=segmentation,
        bbox=[float(value) for value in box],
    )


@contextmanager
def _open_json(path: Path) -> Iterator[IO[bytes]]:
    """The file, or the one JSON file in a zip."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        members = [i for i in archive.infolist() if i.filename.endswith(".json")]
        if len(members) != 1:
            raise UserError(f"the zip holds {len(members)} JSON files instead of one.")
        if members[0].file_size > _MAX_UNPACKED_BYTES:
            raise UserError(
                f"the zip unpacks to {members[0].file_size:,} bytes, more than the "
                f"{_MAX_UNPACKED_BYTES:,} that are read."
            )
        with archive.open(members[0]) as file:
            yield file


def compressed_mask(segmentation: Any, size: list[int] | None) -> dict[str, Any]:
    """Compressed RLE of any of COCO's three forms.

    Args:
        segmentation: RLE, compressed or not, or polygons.
        size: [height, width] of the image, pixels; without it, polygons cannot be read.

    Raises:
        ValueError: It is none of them, or of another size.
    """
    if isinstance(segmentation, list):
        return _from_polygons(segmentation, size)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise UserError("segmentation must be RLE with `size` and `counts`, or polygons.")
    stated = segmentation["size"]
    if (
        not isinstance(stated, list | tuple)
        or len(stated) != 2
        or not all(isinstance(v, int) and v > 0 for v in stated)
        or stated[0] * stated[1] > _MAX_PIXELS
    ):
        raise UserError(
            f"the mask's size is {shown(stated)}, but must be [height, width] in pixels."
        )
    if size is not None and list(stated) != size:
        raise UserError(
            f"the mask's size is {list(stated)}, but its image is {size} (height, width): predict "
            "at the original size."
        )
    counts = segmentation["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    if isinstance(counts, list):
        if not all(isinstance(v, int) and 0 <= v < 1 << 32 for v in counts):
            raise UserError("the mask's counts must be run lengths, integers from 0 to 2**32 - 1.")
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
            or not all(map(is_finite, polygon))
        ):
            raise UserError("a polygon must be a list [x1, y1, x2, y2, …] of at least 3 points.")
        # pycocotools takes time and memory for what lies outside, and crashes far outside.
        for values, side in ((polygon[::2], size[1]), (polygon[1::2], size[0])):
            if min(values) < -side or max(values) > 2 * side:
                raise UserError(
                    f"a polygon reaches from {min(values):g} to {max(values):g} pixels, but its "
                    f"image from 0 to {side}: give pixels of the image."
                )
    if not polygons:
        return {"size": size, "counts": encode_counts([size[0] * size[1]])}
    merged = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
    return {"size": size, "counts": merged["counts"].decode("ascii")}


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether it is an integer, which a bool is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether it is a number that a float can hold, which a bool is not."""
    try:
        return (isinstance(value, float) or is_integer(value)) and math.isfinite(value)
    except OverflowError:
        return False


def is_box(value: Any) -> TypeGuard[list[float]]:
    """Whether it is a list of four numbers that floats can hold."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_finite, value))
