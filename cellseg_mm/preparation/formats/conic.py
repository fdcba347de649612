"""CoNIC: the challenge's patches of Lizard, 256 × 256 pixels at 20×, six classes.

::

    images.npy       (N, 256, 256, 3) uint8
    labels.npy       (N, 256, 256, 2) uint16: instance ids, class numbers
    patch_info.csv   a heading, then for each patch the image of Lizard and a number: consep_1-0000
    counts.csv       nuclei of each class in the inner 224 × 224 pixels; not needed

Patches of one image of Lizard overlap at its border, so they count as one patient's. Without
`patch_info.csv`, patches are numbered, and it is not known which of them belong together.

Graham et al., "CoNIC Challenge: Pushing the Frontiers of Nuclear Detection, Segmentation,
Classification and Counting", Medical Image Analysis 92, 2024.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
from cellseg_mm.preparation.formats.label_maps import (
    label_map_cells,
    majority_classes,
    whole_numbers,
)
from cellseg_mm.preparation.formats.lizard import CLASSES, MPP
from cellseg_mm.preparation.formats.npy_stack import NpyStack, rgb_of
from cellseg_mm.preparation.formats.set_files import attempts, files_below, nothing_found
from cellseg_mm.preparation.problems import BadFileError, Problem, reading

__all__ = ["CLASSES", "OPTIONS", "read"]

OPTIONS = ()
_LARGEST_ID = 65_535


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the patches of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    found = files_below(source, "images.npy")
    if not found:
        yield nothing_found(source, "images.npy and labels.npy")
    for path in found:
        try:
            images = NpyStack(path, (None, None, None, 3))
            labels = NpyStack(path.with_name("labels.npy"), (*images.shape[:3], 2))
            names = _names(path.with_name("patch_info.csv"), len(images))
        except BadFileError as error:
            yield error.problem
            continue
        yield from attempts(range(len(images)), partial(_read_one, images, labels, names))


def _read_one(images: NpyStack, labels: NpyStack, names: list[str], index: int) -> AnnotatedImage:
    ids, types = labels[index].transpose(2, 0, 1)
    place = f"patch {index}"
    ids = whole_numbers(labels.path, place, ids, _LARGEST_ID)
    types = whole_numbers(labels.path, place, types, len(CLASSES))
    classes = majority_classes(ids, types, len(CLASSES))
    without = [number for number, class_number in classes.items() if not class_number]
    if without:
        what = f"instance {without[0]} of patch {index} has no class"
        raise BadFileError(labels.path, what, "take the original file")
    image = names[index].rpartition("-")[0]
    class_names = {number: CLASSES[kind - 1] for number, kind in classes.items()}
    return AnnotatedImage(
        name=names[index],
        source=labels.path,
        pixels=lambda: rgb_of(images.path, images[index]),
        cells=label_map_cells(ids, class_names),
        mpp=MPP,
        patient=image or None,
    )


def _names(path: Path, count: int) -> list[str]:
    if not path.exists():
        return [f"{index:04d}" for index in range(count)]
    with (
        reading(path, "not readable", "download it again", OSError, ValueError, csv.Error),
        path.open(newline="", encoding="utf-8-sig") as file,
    ):
        names = [row[0].strip() for row in csv.reader(file) if row][1:]
    if len(names) != count:
        what = f"it names {len(names)} patches, but images.npy holds {count}"
        raise BadFileError(path, what, "take the files of one download")
    if len({name.casefold() for name in names}) < count:
        raise BadFileError(path, "it names a patch twice", "take the original file")
    return names
