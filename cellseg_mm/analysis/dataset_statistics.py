"""Sizes, counts, areas, crowding and colour of a prepared data set, by split and class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.image_statistics import measure_cells
from cellseg_mm.errors import UserError
from cellseg_mm.files.rgb_file import read_rgb
from cellseg_mm.structures.planes import read_planes

FloatArray = npt.NDArray[np.float64]
SPLITS = ("train", "val", "test")
_QUANTILES = {"min": 0, "p10": 10, "median": 50, "p90": 90, "p99": 99, "max": 100}


@dataclass(frozen=True)
class SplitTable:
    """All images and cells of one split, as columns.

    Attributes:
        classes: Names of the classes.
        image_sizes: (I, 2) width and height, pixels.
        with_truth: (I,) bool: the image has planes.
        images: (N,) index of each cell's image.
        labels: (N,) index of its class.
        boxes: (N, 4) xyxy, pixels.
        areas: (N,) pixels.
        nearest: (N,) distance to the nearest other centre in the image, pixels; inf if alone.
        touching: (N,) bool.
        colours: (N, 3) mean RGB.
        tissue: (I, 3) mean RGB outside of all cells; nan without truth.
    """

    classes: Sequence[str]
    image_sizes: npt.NDArray[np.int64]
    with_truth: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    boxes: FloatArray
    areas: npt.NDArray[np.int64]
    nearest: FloatArray
    touching: npt.NDArray[np.bool_]
    colours: FloatArray
    tissue: FloatArray


def read_split_table(root: Path, split: str) -> SplitTable | None:
    """Measure a split, image by image.

    Args:
        root: A prepared data set.
        split: "train", "val" or "test".

    Returns:
        The columns, or None if the split has no image or no annotation file.

    Raises:
        ValueError: The annotation file is not readable, or an image is not.
        FileNotFoundError: A label file is absent.
    """
    path = root / "annotations" / f"{split}.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images, categories = content["images"], content["categories"]
        annotations = content["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a COCO file ({error}): prepare the data again.") from error
    if not images:
        return None
    label_of = {category["id"]: label for label, category in enumerate(categories)}
    of_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in annotations:
        of_image[annotation["image_id"]].append(annotation)

    parts: dict[str, list[Any]] = {
        key: [] for key in ("images", "labels", "boxes", "areas", "nearest", "touching", "colours")
    }
    tissue = np.full((len(images), 3), np.nan)
    for index, image in enumerate(images):
        records = of_image[image["id"]]
        if "label_file" not in image:
            continue
        planes = read_planes(root / "labels" / image["label_file"])
        rgb = read_rgb(root / "images" / image["file_name"])
        ids = np.array([record["instance_id"] for record in records], np.int64)
        cells = measure_cells(rgb, planes, ids)
        xywh = np.array([record["bbox"] for record in records], float).reshape(-1, 4)
        tissue[index] = cells.tissue
        parts["images"].append(np.full(len(ids), index))
        parts["labels"].append([label_of[record["category_id"]] for record in records])
        parts["boxes"].append(np.hstack((xywh[:, :2], xywh[:, :2] + xywh[:, 2:])))
        for key in ("areas", "nearest", "touching", "colours"):
            parts[key].append(getattr(cells, key))
    return SplitTable(
        classes=[category["name"] for category in categories],
        image_sizes=np.array([(i["width"], i["height"]) for i in images], np.int64),
        with_truth=np.array(["label_file" in i for i in images]),
        images=_join(parts["images"]).astype(np.int64),
        labels=_join(parts["labels"]).astype(np.int64),
        boxes=_join(parts["boxes"], 4),
        areas=_join(parts["areas"]).astype(np.int64),
        nearest=_join(parts["nearest"]),
        touching=_join(parts["touching"]).astype(bool),
        colours=_join(parts["colours"], 3),
        tissue=tissue,
    )


def read_splits(root: Path) -> dict[str, SplitTable]:
    """Measure all splits that have images.

    Raises:
        ValueError: There is none.
    """
    found = {split: read_split_table(root, split) for split in SPLITS}
    tables = {split: table for split, table in found.items() if table is not None}
    if not tables:
        raise UserError(
            f"{root} has no annotations with images: name a folder that data_prep/prepare.py wrote."
        )
    return tables


def summarize(table: SplitTable) -> dict[str, Any]:
    """A split in numbers.

    Returns:
        ``images``, ``images_with_truth``, quantiles of ``width``, ``height`` and
        ``cells_per_image``, mean RGB of the ``tissue`` around the cells, and under ``classes`` for
        each class and "all": ``cells``, ``images``, quantiles of ``area`` (pixels²), ``box_side``
        (longer side, pixels) and ``nearest`` (distance to the nearest other cell, pixels),
        ``touching`` (share) and ``colour`` (mean RGB). None stands for what is not defined.
    """
    per_image = np.bincount(table.images, minlength=len(table.image_sizes))[table.with_truth]
    chosen = {name: table.labels == label for label, name in enumerate(table.classes)}
    chosen["all"] = np.ones(len(table.labels), bool)
    seen = table.tissue[~np.isnan(table.tissue).any(axis=1)]
    return {
        "images": len(table.image_sizes),
        "images_with_truth": int(table.with_truth.sum()),
        "width": quantiles(table.image_sizes[:, 0]),
        "height": quantiles(table.image_sizes[:, 1]),
        "cells_per_image": quantiles(per_image),
        "tissue": _colour(seen),
        "classes": {name: _class_summary(table, cells) for name, cells in chosen.items()},
    }


def quantiles(values: npt.ArrayLike) -> dict[str, float] | None:
    """Minimum, 10 %, median, 90 %, 99 % and maximum of the finite values; None if there is none."""
    array = np.asarray(values, float)
    array = array[np.isfinite(array)]
    if not array.size:
        return None
    found = np.percentile(array, list(_QUANTILES.values()))
    return {name: round(float(q), 2) for name, q in zip(_QUANTILES, found, strict=True)}


def markdown(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The summaries of the splits as Markdown tables."""
    lines = ["## Images", "", "Median (10 % to 90 %).", ""]
    lines += _table(
        ["split", "images", "width", "height", "cells an image", "tissue RGB"],
        [
            [
                split,
                f"{s['images']:,}",
                *(_range(s[key]) for key in ("width", "height", "cells_per_image")),
                _rgb(s["tissue"]),
            ]
            for split, s in summaries.items()
        ],
    )
    lines += ["", "## Cells", ""]
    lines += ["Lengths in pixels, median (10 % to 90 %). Distance: between the centres of a cell "]
    lines[-1] += "and its nearest neighbour. Touching: share of cells with another one beside them."
    lines += [""]
    lines += _table(
        [
            "split",
            "class",
            "cells",
            "in images",
            "area",
            "longer side",
            "distance",
            "touching",
            "RGB",
        ],
        [
            [
                split,
                name,
                f"{c['cells']:,}",
                f"{c['images']:,}",
                *(_range(c[key]) for key in ("area", "box_side", "nearest")),
                "–" if c["touching"] is None else f"{c['touching']:.1%}",
                _rgb(c["colour"]),
            ]
            for split, s in summaries.items()
            for name, c in s["classes"].items()
        ],
    )
    return "\n".join(lines) + "\n"


def _class_summary(table: SplitTable, cells: npt.NDArray[np.bool_]) -> dict[str, Any]:
    boxes = table.boxes[cells]
    return {
        "cells": int(cells.sum()),
        "images": len(np.unique(table.images[cells])),
        "area": quantiles(table.areas[cells]),
        "box_side": quantiles((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)),
        "nearest": quantiles(table.nearest[cells]),
        "touching": round(float(table.touching[cells].mean()), 4) if cells.any() else None,
        "colour": _colour(table.colours[cells]),
    }


def _colour(values: FloatArray) -> list[float] | None:
    return [round(float(v), 1) for v in values.mean(axis=0)] if len(values) else None


def _join(parts: Sequence[Any], columns: int | None = None) -> FloatArray:
    shape = (-1,) if columns is None else (-1, columns)
    arrays = [np.asarray(part, float).reshape(shape) for part in parts]
    return np.concatenate(arrays) if arrays else np.zeros((0, *shape[1:]))


def _range(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "–"
    return f"{values['median']:,.0f} ({values['p10']:,.0f}–{values['p90']:,.0f})"


def _rgb(colour: Sequence[float] | None) -> str:
    return "–" if colour is None else " ".join(f"{value:.0f}" for value in colour)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = "|".join("-" * (width + 2) for width in widths)

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"

    return [line(header), f"|{rule}|", *map(line, rows)]
