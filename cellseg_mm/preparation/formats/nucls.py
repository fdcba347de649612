"""NuCLS: breast cancer from TCGA at 0.2 µm per pixel, thirteen classes.

::

    rgb/TCGA-A1-A0SP-DX1_id-…_left-…_top-….png
    csv/TCGA-A1-A0SP-DX1_id-…_left-…_top-….csv    a row for each nucleus
    mask/TCGA-A1-A0SP-DX1_id-…_left-…_top-….png   used for the annotated field only
    csv/ALL_FOV_LOCATIONS.csv                     not needed

Rows name `raw_classification` (in the first edition `group`), `type`, `xmin`, `ymin`, `xmax`,
`ymax`, and with commas `coords_x` and `coords_y`. Rows of the type "polyline" are outlines. Those
of the type "rectangle" are boxes around nuclei of which no outline is known. They are no masks, so
whatever class they state, they become filled boxes of the class "box", to be ignored in training.

Images reach beyond the field that was annotated; where the mask shows the field (253 in its first
channel), the image is cut to it, so that nuclei nobody looked at are not taken for background.

`configs/class_tables/nucls.yaml` joins the classes to the makers' four, and ignores what they do
not class and the boxes.

Amgad et al., "NuCLS: A scalable crowdsourcing approach and dataset for nucleus classification and
segmentation in breast cancer", GigaScience 11, 2022.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    Outline,
    PixelSource,
    ReadOptions,
)
from cellseg_mm.preparation.formats.pixel_file import read_pixel_file
from cellseg_mm.preparation.formats.png_values import read_png_values
from cellseg_mm.preparation.formats.set_files import DOWNLOAD_AGAIN, by_key, files_below, read_pairs
from cellseg_mm.preparation.image_groups import patient_of
from cellseg_mm.preparation.problems import BadFileError, Problem, reading

OPTIONS = ()
BOX = "box"
"""Class of nuclei without an outline."""
CLASSES = (
    "tumor",
    "mitotic_figure",
    "fibroblast",
    "vascular_endothelium",
    "macrophage",
    "lymphocyte",
    "plasma_cell",
    "neutrophil",
    "eosinophil",
    "myoepithelium",
    "ductal_epithelium",
    "apoptotic_body",
    "unlabeled",
    BOX,
)
MPP = 0.2
_FIELD_CODE = 253
_REMEDY = "take the original file"


class _Field(NamedTuple):
    """The annotated part of an image: x1 and y1 in it, x2 and y2 not; pixels."""

    x1: int
    y1: int
    x2: int
    y2: int


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    tables = [
        path
        for path in files_below(source, "csv/*.csv")
        if path.stem.casefold() != "all_fov_locations"
    ]
    images = by_key(files_below(source, "rgb/*.png"))
    yield from read_pairs(source, images, by_key(tables), _read_one, "rgb/*.png and csv/*.csv")


def _read_one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
    mask = annotation.parent.parent / "mask" / f"{name}.png"
    field = _annotated_field(mask) if mask.exists() else None
    pixels: PixelSource = image if field is None else partial(_read_field, image, field)
    x, y = (0, 0) if field is None else field[:2]
    return AnnotatedImage(
        name=name,
        source=annotation,
        pixels=pixels,
        cells=_read_cells(annotation, np.array([x, y], np.float64)),
        mpp=MPP,
        patient=patient_of(name),
    )


def _annotated_field(mask: Path) -> _Field | None:
    inside = read_png_values(mask) >> 16 == _FIELD_CODE
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    return _Field(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _read_field(path: Path, field: _Field) -> npt.NDArray[np.uint8]:
    pixels = read_pixel_file(path)[0]
    height, width, _ = pixels.shape
    if field.x2 > width or field.y2 > height:
        what = f"it is smaller ({height} × {width}) than its mask"
        raise BadFileError(path, what, "take the files of one download")
    return pixels[field.y1 : field.y2, field.x1 : field.x2].copy()


def _read_cells(path: Path, corner: npt.NDArray[np.float64]) -> list[Cell]:
    with (
        reading(path, "not readable as CSV", DOWNLOAD_AGAIN, OSError, UnicodeError, csv.Error),
        path.open(newline="", encoding="utf-8-sig") as file,
    ):
        rows = enumerate(csv.DictReader(file), start=1)
        return [_read_row(path, number, row, corner) for number, row in rows]


def _read_row(
    path: Path, number: int, row: Mapping[str, str | None], corner: npt.NDArray[np.float64]
) -> Cell:
    name = row.get("raw_classification") or row.get("group") or ""
    name = name.strip().removeprefix("correction_")
    if name not in CLASSES[:-1]:
        what = f"row {number} is of the unknown class {name!r}"
        raise BadFileError(path, what, f"use {', '.join(CLASSES[:-1])}")
    if row.get("type") == "rectangle":
        x1, y1, x2, y2 = (
            _numbers(path, number, row, key)[0] for key in ("xmin", "ymin", "xmax", "ymax")
        )
        ring = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
        return Cell(BOX, Outline([[ring - corner]]))
    if row.get("type") != "polyline":
        what = f"row {number} is of the type {row.get('type')!r}"
        raise BadFileError(path, what, "use polyline or rectangle")
    x, y = (_numbers(path, number, row, key) for key in ("coords_x", "coords_y"))
    if len(x) != len(y):
        what = f"row {number} has {len(x)} coords_x, but {len(y)} coords_y"
        raise BadFileError(path, what, _REMEDY)
    return Cell(name, Outline([[np.column_stack((x, y)) - corner]]))


def _numbers(path: Path, number: int, row: Mapping[str, str | None], key: str) -> list[float]:
    try:
        values = [float(text) for text in (row.get(key) or "").split(",")]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise BadFileError(path, f"row {number} has no numbers in {key}", _REMEDY)
    return values
