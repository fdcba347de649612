"""A set of images with cells in numbers: for the audit, the analysis and the report alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_QUANTILES = {"min": 0, "p10": 10, "median": 50, "p90": 90, "p99": 99, "max": 100}


def quantiles(values: npt.ArrayLike) -> dict[str, float] | None:
    """Minimum, 10 %, median, 90 %, 99 % and maximum of the finite values; None if there is none."""
    array = np.asarray(values, float)
    array = array[np.isfinite(array)]
    if not array.size:
        return None
    found = np.percentile(array, list(_QUANTILES.values()))
    return {name: round(float(q), 2) for name, q in zip(_QUANTILES, found, strict=True)}


def statistics(images: pd.DataFrame, cells: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Describe a set of images.

    Args:
        images: A row an image, numbered from 0: `height` and `width` in pixels, `with_truth`.
        cells: A row a cell: `image` (number), `label` (class index), `area` (pixels) and `box_side`
            (the longer one, pixels).
        classes: Names of the classes.

    Returns:
        `images`, `images_with_truth`, quantiles of `height`, `width` and, over the images with
        truth, of `instances_per_image`; by class under `classes`, and for all cells under
        `all_classes`: `instances`, `images` that have any, quantiles of `area` and `box_side`. None
        stands for what is not defined.
    """
    per_image = np.bincount(cells["image"].to_numpy(int), minlength=len(images))
    return {
        "images": len(images),
        "images_with_truth": int(images["with_truth"].sum()),
        "height": quantiles(images["height"]),
        "width": quantiles(images["width"]),
        "instances_per_image": quantiles(per_image[images["with_truth"].to_numpy(bool)]),
        "classes": {
            name: _of_cells(cells[cells["label"] == label]) for label, name in enumerate(classes)
        },
        "all_classes": _of_cells(cells),
    }


def _of_cells(cells: pd.DataFrame) -> dict[str, Any]:
    return {
        "instances": len(cells),
        "images": cells["image"].nunique(),
        "area": quantiles(cells["area"]),
        "box_side": quantiles(cells["box_side"]),
    }
