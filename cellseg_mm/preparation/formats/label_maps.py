"""Cells of label maps: maps of instance ids, 0 for background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Bitmap, Cell
from cellseg_mm.preparation.instances import collect_instances, consecutive_labels
from cellseg_mm.preparation.problems import BadFileError

IntArray = npt.NDArray[np.integer]


def label_map_cells(labels: IntArray, class_names: Mapping[int, str] | str) -> list[Cell]:
    """One cell for each id, connected or not, by id.

    Args:
        labels: (H, W) ids.
        class_names: The class of each id, or of all.
    """
    instances = collect_instances({1: labels})
    names = (
        class_names if isinstance(class_names, str) else class_names[raw_id]
        for raw_id in instances.raw_ids.tolist()
    )
    return [
        Cell(name, Bitmap(crop.top, crop.left, crop.bitmap))
        for crop, name in zip(instances.crops, names, strict=True)
    ]


def labelled_image(
    name: str,
    image: Path,
    annotation: Path,
    labels: IntArray,
    class_names: Mapping[int, str] | str,
    **known: Any,
) -> AnnotatedImage:
    """An image whose label map must be of its size; see :func:`label_map_cells`.

    `known` is what else :class:`AnnotatedImage` says of it.
    """
    height, width = labels.shape
    cells = label_map_cells(labels, class_names)
    return AnnotatedImage(name, annotation, image, cells, (height, width), **known)


def majority_classes(labels: IntArray, classes: IntArray, num_classes: int) -> dict[int, int]:
    """The class that most pixels of each instance have; the lowest of several.

    Args:
        labels: (H, W) ids.
        classes: (H, W) class numbers, 0 (none) to `num_classes`.
        num_classes: Number of classes.

    Returns:
        By id, the class number; 0 where no pixel of the instance has a class.
    """
    ids, consecutive = consecutive_labels(labels)
    foreground = consecutive > 0
    pairs = (consecutive[foreground] - 1) * (num_classes + 1) + classes[foreground]
    votes = np.bincount(pairs, minlength=len(ids) * (num_classes + 1))
    votes = votes.reshape(len(ids), num_classes + 1)[:, 1:]
    winners = np.where(votes.any(axis=1), votes.argmax(axis=1) + 1, 0)
    return dict(zip(ids.tolist(), winners.tolist(), strict=True))


def whole_numbers(path: Path, name: str, values: npt.NDArray, largest: int) -> IntArray:
    """Numbers of a file that are to be ids or classes, as integers.

    Args:
        path: The file, for the message.
        name: What the numbers are, for the message.
        values: Array of booleans, integers or floats.
        largest: The largest number allowed.

    Raises:
        BadFileError: Some are no whole numbers from 0 to `largest`.
    """
    if values.dtype.kind not in "buif":
        raise BadFileError(path, f"{name} holds {values.dtype} values", "take the original file")
    # The negation finds NaN, too.
    bad = ~((values >= 0) & (values <= largest) & (values == np.floor(values)))
    if bad.any():
        first = values[np.unravel_index(int(bad.argmax()), bad.shape)]
        raise BadFileError(
            path,
            f"{name} holds {first}, not whole numbers from 0 to {largest}",
            "take the original file",
        )
    return values.astype(np.uint32)
