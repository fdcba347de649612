"""Pictures of the worst cells of each kind of error: truth and prediction on a crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from cellseg_mm.analysis.errors.error_kinds import CellError, ErrorKind
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.predictions import Prediction
from cellseg_mm.files.rgb_file import RgbImage, read_rgb
from cellseg_mm.reporting.crop_window import crop_window
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.palette import rgb
from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.outlines import draw_outlines

TRUTH_COLOUR = "#00e5ff"
PREDICTION_COLOUR = "#fff04d"

_PICTURE_SIDE = 144


@dataclass(frozen=True, eq=False)
class CellPicture:
    """One of the worst cells.

    Attributes:
        error: What is wrong.
        picture: (144, 144, 3) uint8 RGB, the enlarged crop with the outlines of the true cell and
            of the prediction, as far as there are any.
    """

    error: CellError
    picture: RgbImage


def draw_worst_cells(
    worst: Mapping[ErrorKind, Sequence[CellError]],
    annotations: Annotations,
    predictions: Sequence[Prediction],
    data_root: Path,
) -> dict[ErrorKind, list[CellPicture]]:
    """Cut the worst cells out of their images and draw both outlines.

    Args:
        worst: Errors by kind; the pictures are in their order.
        annotations: The truth.
        predictions: The list that the errors' `row` counts in.
        data_root: The folder that holds `images/`.
    """
    truth = {cell["id"]: cell for cells in annotations.cells.values() for cell in cells}
    pictures: dict[int, RgbImage] = {}
    # Image by image, so that each is read once and only one is held.
    every = sorted((e for errors in worst.values() for e in errors), key=lambda e: e.image_id)
    for _, errors in groupby(every, key=lambda e: e.image_id):
        of_image = list(errors)
        image = read_rgb(data_root / "images" / of_image[0].file_name)
        for error in of_image:
            masks = {}
            if error.annotation_id is not None:
                masks[TRUTH_COLOUR] = truth[error.annotation_id]["segmentation"]
            if error.row is not None:
                masks[PREDICTION_COLOUR] = predictions[error.row]["segmentation"]
            pictures[id(error)] = _draw(image, error.box, masks)
    return {
        kind: [CellPicture(error, pictures[id(error)]) for error in errors]
        for kind, errors in worst.items()
    }


def contact_sheet(pictures: Mapping[ErrorKind, Sequence[CellPicture]]) -> dict[str, Figure]:
    """All pictures on one figure, `worst_cells`, a row for each kind; no figure without any."""
    rows = [(kind, row) for kind, row in pictures.items() if row]
    if not rows:
        return {}
    columns = max(len(row) for _, row in rows)
    figure = Figure(figsize=(1.3 + 1.0 * columns, 1.25 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes_row, (kind, row) in zip(grid, rows, strict=True):
        label = str(kind)
        axes_row[0].text(
            -0.1, 0.5, label, transform=axes_row[0].transAxes, ha="right", va="center", fontsize=9
        )
        for axes, picture in zip(axes_row, row, strict=False):
            axes.imshow(picture.picture)
            if picture.error.score is not None:
                axes.set_title(f"{picture.error.score:.2f}", fontsize=7, loc="center", pad=2)
    return {"worst_cells": figure}


def _draw(
    image: RgbImage, box: tuple[int, int, int, int], masks: Mapping[str, Mapping[str, Any]]
) -> RgbImage:
    """The surroundings of a box, with the outlines of masks by their colour."""
    height, width = image.shape[:2]
    left, top, side = crop_window(box, height, width)
    crop = image[top : top + side, left : left + side]
    base = np.asarray(
        Image.fromarray(crop).resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.BICUBIC)
    )
    crops = MaskRuns.from_rles(masks.values(), height, width).crops()
    cells = [_within(cell, left, top, side) for cell in crops]
    return draw_outlines(base, cells, list(map(rgb, masks)), _PICTURE_SIDE / side, thickness=2)


def _within(cell: InstanceCrop, left: int, top: int, side: int) -> InstanceCrop:
    """The part of a cell inside a square, in the square's coordinates."""
    h, w = cell.bitmap.shape
    x1, y1 = max(cell.left, left), max(cell.top, top)
    x2, y2 = min(cell.left + w, left + side), min(cell.top + h, top + side)
    bitmap = cell.bitmap[
        max(y1 - cell.top, 0) : max(y2 - cell.top, 0),
        max(x1 - cell.left, 0) : max(x2 - cell.left, 0),
    ]
    return InstanceCrop(cell.instance_id, y1 - top, x1 - left, bitmap)
