"""PanNuke: 7,901 patches of 19 tissues, 256 × 256 pixels, five classes, in three folds.

::

    Fold 1/images/fold1/images.npy   (N, 256, 256, 3) float64, 0 to 255
    Fold 1/images/fold1/types.npy    (N,) text, the tissue
    Fold 1/masks/fold1/masks.npy     (N, 256, 256, 6) float64: a map of instance ids for each class,
                                     then the background, which is not needed

A fold's `masks.npy` is 8 GB at float64, so that one patch is read at a time. A patch is named by
its fold, tissue and number in the fold. All of them are training images: the makers train on one
fold, choose by another and test on the third, in turns. Patients are not stated.

Gamper et al., "PanNuke Dataset Extension, Insights and Baselines", arXiv:2003.10778, 2020.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Cell, ReadOptions
from cellseg_mm.preparation.formats.label_maps import label_map_cells, whole_numbers
from cellseg_mm.preparation.formats.npy_stack import NpyStack, rgb_of
from cellseg_mm.preparation.formats.set_files import attempts, by_key, files_below, nothing_found
from cellseg_mm.preparation.problems import BadFileError, Problem, reading

OPTIONS = ()
CLASSES = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
MPP = 0.25
_LARGEST_ID = 65_535


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the patches of the folds; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    images = by_key(files_below(source, "images.npy"), _fold)
    masks = by_key(files_below(source, "masks.npy"), _fold)
    if not images and not masks:
        yield nothing_found(source, "images/fold1/images.npy and masks/fold1/masks.npy")
    for fold in sorted(images.keys() | masks.keys()):
        paths = images.get(fold, []), masks.get(fold, [])
        if [len(found) for found in paths] != [1, 1]:
            what = f"{fold} has {len(paths[0])} images.npy and {len(paths[1])} masks.npy"
            yield Problem(source, what, "keep one of each in folders of the fold's name")
            continue
        yield from _read_fold(fold, paths[0][0], paths[1][0])


def _fold(path: Path) -> str:
    """The fold that the folders above a file name, the nearest first."""
    for part in reversed(path.parts[:-1]):
        found = re.search(r"fold[ _-]*([0-9]+)", part, re.IGNORECASE)
        if found:
            return f"fold{int(found[1])}"
    return "fold"


def _read_fold(
    fold: str, images_path: Path, masks_path: Path
) -> Iterator[AnnotatedImage | Problem]:
    try:
        images = NpyStack(images_path, (None, None, None, 3))
        masks = NpyStack(masks_path, (*images.shape[:3], len(CLASSES) + 1))
        tissues = _tissues(images_path.with_name("types.npy"), len(images))
    except BadFileError as error:
        yield error.problem
        return
    names = [f"{fold}_{tissue}_{index:04d}" for index, tissue in enumerate(tissues)]
    yield from attempts(range(len(images)), partial(_read_one, images, masks, names))


def _read_one(images: NpyStack, masks: NpyStack, names: list[str], index: int) -> AnnotatedImage:
    cells: list[Cell] = []
    maps = whole_numbers(
        masks.path, f"patch {index}", masks[index][..., : len(CLASSES)], _LARGEST_ID
    )
    for number, name in enumerate(CLASSES):
        cells += label_map_cells(maps[..., number], name)
    return AnnotatedImage(
        name=names[index],
        source=masks.path,
        pixels=lambda: rgb_of(images.path, images[index]),
        cells=cells,
        mpp=MPP,
    )


def _tissues(path: Path, count: int) -> list[str]:
    """The tissue of each patch; "patch" where `types.npy` is not there."""
    if not path.exists():
        return ["patch"] * count
    with reading(path, "not a readable .npy file", "download it again"):
        types = np.load(path, allow_pickle=False)
        tissues = [re.sub(r"\W+", "-", str(tissue)).strip("-") for tissue in types.ravel()]
    if len(tissues) != count:
        what = f"it holds {len(tissues)} tissues, but images.npy {count} patches"
        raise BadFileError(path, what, "take the files of one download")
    return tissues
