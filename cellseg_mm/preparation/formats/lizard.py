"""Lizard: colon tissue at 20×, six classes.

::

    Lizard_Images1/consep_1.png …   Lizard_Images2/…   Lizard_Labels/Labels/consep_1.mat …

A `.mat` file holds `inst_map` (ids), and a row for each nucleus of `id`, `class`, `bbox` (y1, y2,
x1, x2) and `centroid` (x, y). Rows are in no order: a nucleus is found by its id. `bbox` and
`centroid` follow from the map and are not read. Which images are of one patient is not stated.

Graham et al., "Lizard: A Large-Scale Dataset for Colonic Nuclear Instance Segmentation and
Classification", ICCV Workshops 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
from cellseg_mm.preparation.formats.label_maps import labelled_image, whole_numbers
from cellseg_mm.preparation.formats.mat_file import read_mat
from cellseg_mm.preparation.formats.set_files import by_key, files_below, read_pairs
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ()
CLASSES = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")
MPP = 0.5
_LARGEST_ID = 10**6


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    yield from read_pairs(
        source,
        by_key(files_below(source, "*Images*/*.png")),
        by_key(files_below(source, "Labels/*.mat")),
        _read_one,
        "Lizard_Images1/*.png and Lizard_Labels/Labels/*.mat",
    )


def _read_one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
    arrays = read_mat(annotation, ("inst_map", "id", "class"))
    labels = whole_numbers(annotation, "inst_map", arrays["inst_map"], _LARGEST_ID)
    ids = whole_numbers(annotation, "id", arrays["id"], _LARGEST_ID).ravel()
    numbers = whole_numbers(annotation, "class", arrays["class"], len(CLASSES)).ravel()
    if len(ids) != len(numbers):
        what = f"it has {len(ids)} rows of id, but {len(numbers)} of class"
        raise BadFileError(annotation, what, "take the original file")
    classes = {
        number: CLASSES[kind - 1]
        for number, kind in zip(ids.tolist(), numbers.tolist(), strict=True)
        if kind
    }
    for number in np.unique(labels[labels > 0]).tolist():
        if number not in classes:
            what = f"the nucleus {number} of inst_map has no class"
            raise BadFileError(annotation, what, "take the original file")
    return labelled_image(name, image, annotation, labels, classes, mpp=MPP)
