"""The truth of a data set, read from its COCO annotation file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.json_file import read_json

_KEYS: dict[str, dict[str, type]] = {
    "images": {"id": int, "height": int, "width": int},
    "categories": {"id": int, "name": str},
    "annotations": {"image_id": int, "category_id": int},
}
"""What the records of each part have at least."""

_CELL = {"id": int, "segmentation": dict, "bbox": list, "area": int}
"""What a cell of a file has besides, as prepare.py writes it: other tools leave some of it out."""


@dataclass(frozen=True)
class Annotations:
    """A COCO annotation file, indexed.

    Attributes:
        source: Where it comes from, for messages.
        images: Image record (`height`, `width`, `file_name`, …) by image id, rising.
        cells: Annotation records by image id, with an empty list for an image without cells.
            Records with `iscrowd` 1 are groups or ignored cells, and are left out.
        categories: Name by category id, rising.
        ignored: Those records by image id; an ignored cell, which the file has once for each
            category, stands here once.
    """

    source: str
    images: dict[int, dict[str, Any]]
    cells: dict[int, list[dict[str, Any]]]
    categories: dict[int, str]
    ignored: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def annotates(self, image_id: int, category_id: int) -> bool:
        """Whether an image's annotators looked for a class; they did unless the file says so."""
        annotated = self.images[image_id].get("annotated_category_ids")
        return annotated is None or category_id in annotated


def match_categories(
    classes: Sequence[str], categories: Mapping[int, str], source: Path | str
) -> list[int]:
    """Category id of each class of a dataset, matched by name.

    Args:
        classes: Names in the order of the model's labels.
        categories: Name by category id.
        source: File of the categories, for messages.

    Raises:
        ValueError: There are no classes, or one is not among the categories.
    """
    known = {name: category_id for category_id, name in categories.items()}
    if not classes or not set(classes) <= set(known):
        raise UserError(
            f"The dataset's classes {list(classes)} must all be categories of {source}, "
            f"which has {list(known)}: set `metainfo.classes` of the dataset to these names."
        )
    return [known[name] for name in classes]


def index_annotations(data: dict[str, Any], source: str = "the annotations") -> Annotations:
    """Index the content of a COCO annotation file, named `source` in messages.

    Raises:
        ValueError: A part is missing, an image or category occurs twice, or an annotation names an
            image or category that does not exist.
    """
    _check(data, source)
    return _index(data, source)


def _index(data: dict[str, Any], source: str) -> Annotations:
    images = {image["id"]: image for image in sorted(data["images"], key=lambda i: i["id"])}
    categories = {c["id"]: c["name"] for c in sorted(data["categories"], key=lambda c: c["id"])}
    if len(images) < len(data["images"]) or len(categories) < len(data["categories"]):
        raise UserError(f"{source} holds an image id or a category id twice: number them again.")
    cells: dict[int, list[dict[str, Any]]] = {image_id: [] for image_id in images}
    ignored: dict[int, dict[int, dict[str, Any]]] = {}
    for annotation in data["annotations"]:
        if annotation["image_id"] not in images or annotation["category_id"] not in categories:
            raise UserError(
                f"Annotation {annotation.get('id')} of {source} names the image "
                f"{annotation['image_id']} and the category {annotation['category_id']}, one of "
                "which does not exist in the file."
            )
        if not annotation.get("iscrowd", 0):
            cells[annotation["image_id"]].append(annotation)
        else:
            of_image = ignored.setdefault(annotation["image_id"], {})
            of_image.setdefault(annotation.get("instance_id", -len(of_image)), annotation)
    once = {image_id: list(records.values()) for image_id, records in ignored.items()}
    return Annotations(source, images, cells, categories, once)


def read_coco_file(path: Path | str) -> dict[str, Any]:
    """The content of a COCO annotation file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a COCO annotation file.
    """
    data = _read(path)
    _check(data, str(path))
    return data


def read_annotations(path: Path | str) -> Annotations:
    """Read and index a COCO annotation file whose cells have masks.

    Raises as :func:`read_coco_file` does, and if a cell lacks its id, mask, box or area.
    """
    data = _read(path)
    _check(data, str(path), _CELL)
    return _index(data, str(path))


def _read(path: Path | str) -> Any:
    try:
        return read_json(Path(path), "The annotation file")
    except MissingFileError:
        raise MissingFileError(
            f"The annotation file {path} does not exist: write it with "
            "'python data_prep/prepare.py RAW --out DIR', and set data_root=DIR."
        ) from None


def _check(data: Any, source: str, of_cells: Mapping[str, type] | None = None) -> None:
    """Refuse what is no COCO file, and records of another form than ours."""
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
        raise UserError(f"{source} is not a COCO file with images, annotations and categories.")
    for part, needed in _KEYS.items():
        keys = {**needed, **(of_cells or {})} if part == "annotations" else needed
        records = data[part]
        if not isinstance(records, list):
            raise UserError(f"{part} of {source} is a {type(records).__name__}, not a list.")
        for number, record in enumerate(records):
            fits = isinstance(record, dict) and all(
                isinstance(record.get(key), kind) for key, kind in keys.items()
            )
            if not fits:
                needs = ", ".join(f"{key} ({kind.__name__})" for key, kind in keys.items())
                raise UserError(
                    f"Record {number} of {part} in {source} lacks one of {needs}: the file was not "
                    "written by data_prep/prepare.py; for it, data_prep/convert.py coco converts "
                    "COCO files of other tools."
                )
