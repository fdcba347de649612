"""Sizes, areas, crowding and colour of a prepared data set, as tables of its images and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_mm.analysis.image_statistics import measure_cells
from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.files.markdown_table import markdown_table
from cellseg_mm.files.rgb_file import read_rgb, require_size
from cellseg_mm.preparation.dataset_statistics import quantiles, statistics
from cellseg_mm.structures.coco_records import record_boxes, record_ids
from cellseg_mm.structures.planes import read_planes

SPLITS = ("train", "val", "test")
RGB = ["red", "green", "blue"]
BOX = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True)
class SplitTable:
    """All images and cells of one split.

    Attributes:
        classes: Names of the classes.
        images: A row an image, numbered from 0: `width` and `height` in pixels, `with_truth`
            (whether it has planes), `red`, `green`, `blue` (mean outside of all cells; NaN without
            truth).
        cells: A row a cell: `image` (number), `label` (class index), `x1` to `y2` and `box_side`
            (the longer one, pixels), `area` (pixels), `nearest` (distance to the nearest other
            centre in the image, pixels; inf if alone), `touching`, and its mean `red`, `green`,
            `blue`.
    """

    classes: Sequence[str]
    images: pd.DataFrame
    cells: pd.DataFrame


def read_split_table(root: Path, split: str) -> SplitTable | None:
    """Measure a split, image by image.

    Args:
        root: A prepared data set.
        split: "train", "val" or "test".

    Returns:
        The tables, or None if the split has no image or no annotation file.

    Raises:
        ValueError: The annotation file is not readable, or an image is not.
        FileNotFoundError: A label file is absent.
    """
    path = root / "annotations" / f"{split}.json"
    if not path.is_file():
        return None
    truth = read_annotations(path)
    if not truth.images:
        return None
    labels = {category: label for label, category in enumerate(truth.categories)}
    columns = ["image", "label", *BOX, "box_side", "area", "nearest", "touching", *RGB]
    cells = [pd.DataFrame(columns=columns)]
    images = []
    for number, image in enumerate(truth.images.values()):
        tissue: npt.NDArray[np.float64] = np.full(3, np.nan)
        if "label_file" in image:
            tissue, of_image = _measure(root, image, truth.cells[image["id"]], labels, truth.source)
            cells.append(of_image.assign(image=number))
        size = {"width": image["width"], "height": image["height"]}
        images.append(
            size | {"with_truth": "label_file" in image} | dict(zip(RGB, tissue, strict=True))
        )
    filled = [table for table in cells if len(table)] or cells
    return SplitTable(
        list(truth.categories.values()),
        pd.DataFrame(images),
        pd.concat(filled, ignore_index=True),
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
        What :func:`cellseg_mm.preparation.dataset_statistics.statistics` says, and mean RGB of the
        `tissue` around the cells; of each class and of all cells also quantiles of `nearest`
        (distance to the nearest other cell, pixels), `touching` (share) and `colour` (mean RGB).
    """
    summary = statistics(table.images, table.cells, table.classes)
    for label, of_class in enumerate(summary["classes"].values()):
        of_class |= _surroundings(table.cells[table.cells["label"] == label])
    summary["all_classes"] |= _surroundings(table.cells)
    return summary | {"tissue": _colour(table.images)}


def markdown(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The summaries of the splits as Markdown tables."""
    images = [
        [
            split,
            f"{s['images']:,}",
            *(_range(s[key]) for key in ("width", "height", "instances_per_image")),
            _rgb(s["tissue"]),
        ]
        for split, s in summaries.items()
    ]
    cells = [
        [
            split,
            name,
            f"{c['instances']:,}",
            f"{c['images']:,}",
            *(_range(c[key]) for key in ("area", "box_side", "nearest")),
            "–" if c["touching"] is None else f"{c['touching']:.1%}",
            _rgb(c["colour"]),
        ]
        for split, s in summaries.items()
        for name, c in (*s["classes"].items(), ("all", s["all_classes"]))
    ]
    lengths = ["area", "longer side", "distance", "touching", "RGB"]
    return (
        "## Images\n\nMedian (10 % to 90 %).\n\n"
        + markdown_table(
            ["split", "images", "width", "height", "cells an image", "tissue RGB"], images
        )
        + "\n\n## Cells\n\nLengths in pixels, median (10 % to 90 %). Distance: between the centres "
        "of a cell and its nearest neighbour. Touching: share of cells with another one beside "
        "them.\n\n"
        + markdown_table(["split", "class", "cells", "in images", *lengths], cells)
        + "\n"
    )


def _measure(
    root: Path,
    image: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    source: str,
) -> tuple[npt.NDArray[np.float64], pd.DataFrame]:
    """Mean RGB of the tissue of an image, and its cells."""
    label_path = root / "labels" / str(image["label_file"])
    image_path = root / "images" / str(image.get("file_name"))
    planes, rgb = read_planes(label_path), read_rgb(image_path)
    noted = image["height"], image["width"]
    require_size(image_path, rgb.shape, noted)
    require_size(label_path, planes.shape[1:], noted)
    boxes = record_boxes(records, *noted, source)
    ids = record_ids(records, source)
    found = measure_cells(rgb, planes, ids)
    cells = pd.DataFrame(boxes, columns=BOX).assign(
        label=[labels[record["category_id"]] for record in records],
        box_side=(boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0),
        area=found.areas,
        nearest=found.nearest,
        touching=found.touching,
    )
    cells[RGB] = found.colours
    return found.tissue, cells


def _surroundings(cells: pd.DataFrame) -> dict[str, Any]:
    return {
        "nearest": quantiles(cells["nearest"]),
        "touching": round(float(cells["touching"].mean()), 4) if len(cells) else None,
        "colour": _colour(cells),
    }


def _colour(table: pd.DataFrame) -> list[float] | None:
    means = table[RGB].astype(float).mean()
    return None if means.isna().any() else [round(float(v), 1) for v in means]


def _range(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "–"
    return f"{values['median']:,.0f} ({values['p10']:,.0f}–{values['p90']:,.0f})"


def _rgb(colour: Iterable[float] | None) -> str:
    return "–" if colour is None else " ".join(f"{value:.0f}" for value in colour)
