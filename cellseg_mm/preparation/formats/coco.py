"""COCO JSON with a mask for each cell: polygons, or RLE as numbers or text.

::

    annotations/instances_default.json  images/a.png              CVAT
    train/_annotations.coco.json  train/a_png.rf.0f.jpg  valid/…  Roboflow
    annotations.json  JPEGImages/a.jpg                            labelme's converter

Images are found by the end of their path, wherever they were annotated. Ids may be numbers or text.
The polygons of an annotation are united. A file or a folder with the word "test" in its name is the
test part.

`iscrowd` 1 means a group of cells, which gets the class "crowd", to be ignored by a class table.
CVAT and Datumaro write it for every cell that was painted, not outlined; they are known by the key
`attributes`, and such cells keep their class.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; https://cocodataset.org.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    Outline,
    ReadOptions,
    Runs,
)
from cellseg_mm.preparation.formats.image_files import ImageFiles, names_of, part_of
from cellseg_mm.preparation.formats.json_text import read_json_text
from cellseg_mm.preparation.formats.set_files import files_below
from cellseg_mm.preparation.problems import BadFileError, Problem
from cellseg_mm.structures.coco_rle import decode_counts

OPTIONS = ("images", "default_class")
CROWD = "crowd"
_KEYS = ("images", "annotations", "categories")
_EXPORT_AGAIN = "export it again, for instance segmentation"

Record = dict[str, Any]


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of one or more files; see :mod:`.registry`."""
    folder = source if source.is_dir() else source.parent
    files = files_below(source, "*.json", "*.json.gz") if source.is_dir() else [source]
    images = ImageFiles(options.images or folder)
    documents: dict[Path, _File] = {}
    problems = 0
    for path in files:
        try:
            content = read_json_text(path)
            if path == source or (isinstance(content, dict) and "images" in content):
                documents[path] = _File(path, content)
        except BadFileError as error:
            problems += 1
            yield error.problem
    if not documents and not problems:
        yield Problem(source, "it holds no COCO JSON", "name the file, or the folder of the export")
    places: dict[tuple[Path, str], Path] = {}
    for path, file in documents.items():
        for identity, image in file.images.items():
            try:
                places[path, identity] = images.of_path(image["file_name"], path)
            except BadFileError as error:
                yield error.problem
    names = names_of(places.values())
    for path, file in documents.items():
        for identity in file.images:
            if (path, identity) in places:
                place = places[path, identity]
                try:
                    found = file.read(identity, names[place], place)
                    yield replace(found, part=part_of(path, folder))
                except BadFileError as error:
                    yield error.problem


class _File:
    """The records of a file, checked and sorted by image."""

    def __init__(self, path: Path, content: Any) -> None:
        self._path = path
        if not isinstance(content, dict):
            raise BadFileError(path, "it is no COCO JSON", "name a file of COCO's form")
        for key in _KEYS:
            records = content.get(key)
            if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
                raise BadFileError(path, f"{key!r} is missing or no list of records", _EXPORT_AGAIN)
        self.images = self._by_id(content["images"], "image", "file_name")
        categories = self._by_id(content["categories"], "category", "name")
        self._names = {identity: record["name"].strip() for identity, record in categories.items()}
        self._cells: dict[str, list[Record]] = {identity: [] for identity in self.images}
        for record in content["annotations"]:
            for key, known in (("image_id", self.images), ("category_id", self._names)):
                if _identity(record.get(key)) not in known:
                    what = f"annotation {_id_of(record)} has the {key} {str(record.get(key))[:40]}"
                    raise BadFileError(path, f"{what}, which the file does not list", _EXPORT_AGAIN)
            self._cells[_identity(record["image_id"])].append(record)

    def _by_id(self, records: Sequence[Record], kind: str, key: str) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for number, record in enumerate(records, start=1):
            identity = _identity(record.get("id"))
            if not identity or not isinstance(record.get(key), str):
                what = f"{kind} {number} has no 'id' or no {key!r}"
                raise BadFileError(self._path, what, _EXPORT_AGAIN)
            if identity in found:
                what = f"two of its {kind} records have the id {identity:.40}"
                raise BadFileError(self._path, what, "give each a number of its own")
            found[identity] = record
        return found

    def read(self, identity: str, name: str, place: Path) -> AnnotatedImage:
        """An image and its cells.

        Raises:
            BadFileError: One of its records cannot be used.
        """
        size = _size(self._path, self.images[identity])
        cells = []
        for record in self._cells[identity]:
            try:
                shape = _shape(record.get("segmentation"), size)
            except (ValueError, TypeError, KeyError, OverflowError, UserError) as error:
                reason = str(error).rstrip(".")[:200]
                what = f"annotation {_id_of(record)} has no mask ({reason})"
                raise BadFileError(self._path, what, _EXPORT_AGAIN) from error
            class_name = self._names[_identity(record["category_id"])] or None
            if record.get("iscrowd") and "attributes" not in record:
                class_name = CROWD
            cells.append(Cell(class_name, shape))
        return AnnotatedImage(name, self._path, place, cells, size)


def _identity(value: Any) -> str:
    """An id as text, so that 7, 7.0 and "7" are one; "" for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""


def _id_of(record: Record) -> str:
    return str(record.get("id"))[:40]


def _size(path: Path, image: Record) -> tuple[int, int] | None:
    size = image.get("height"), image.get("width")
    if size == (None, None):
        return None
    if not all(isinstance(side, int) and 0 < side < 1 << 31 for side in size):
        what = f"the image {image['file_name']:.200} has no 'height' and 'width' in pixels"
        raise BadFileError(path, what, _EXPORT_AGAIN)
    return size  # type: ignore[return-value]


def _shape(segmentation: Any, size: tuple[int, int] | None) -> Outline | Runs:
    if isinstance(segmentation, dict):
        return _runs(segmentation, size)
    if not segmentation:
        raise ValueError("it is a box without a segmentation")
    if not isinstance(segmentation[0], list):
        segmentation = [segmentation]
    return Outline([[_ring(points)] for points in segmentation])


def _ring(numbers: list[float]) -> npt.NDArray[np.float64]:
    points = np.array(numbers, np.float64)
    if points.ndim != 1 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError("a polygon is no list of x, y, x, y, …")
    return points.reshape(-1, 2)


def _runs(rle: Record, size: tuple[int, int] | None) -> Runs:
    if size is None or rle["size"] != list(size):
        raise ValueError(f"its RLE is of the size {str(rle['size'])[:40]}, the image of {size}")
    counts = rle["counts"]
    if isinstance(counts, str):
        lengths = decode_counts(counts)
    else:
        if not all(isinstance(n, int) and 0 <= n < 1 << 32 for n in counts):
            raise ValueError("its counts are no numbers of pixels")
        lengths = np.array(counts, np.int64)
    ends = np.cumsum(lengths)
    if len(ends) and ends[-1] > size[0] * size[1]:
        raise ValueError(f"its counts cover {ends[-1]} pixels, the image has {size[0] * size[1]}")
    starts, ends = (ends - lengths)[1::2], ends[1::2]
    filled = ends > starts
    return Runs(starts[filled], ends[filled])
