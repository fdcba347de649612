"""Label images: a number for each pixel, that of its cell or 0.

::

    images/a.tif  masks/a.tif            StarDist; also "mask", "labels" and "label"
    a.png  a_masks.png  a_cp_masks.tif   Cellpose; also "_mask", "_labels", "_label"
    a_img.png  a_masks.png               Cellpose's own data
    a.tif  a_seg.npy                     Cellpose's program
    a.jpg  a_labels.ome.tif              cellseg segment
    a.png  a.npy                         an array saved by NumPy

A file or a folder with the word "test" in its name is the test part. All cells are of the class
that the user names, or of the classes of a table; see :mod:`.cell_classes`. A number is one cell,
connected or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Cell, ReadOptions
from cellseg_mm.preparation.formats.cell_classes import CellClasses
from cellseg_mm.preparation.formats.cellpose_seg import read_seg_masks
from cellseg_mm.preparation.formats.image_files import ImageFiles, names_of, part_of
from cellseg_mm.preparation.formats.label_maps import label_map_cells, whole_numbers
from cellseg_mm.preparation.formats.png_values import read_png_values
from cellseg_mm.preparation.formats.set_files import attempts, files_below
from cellseg_mm.preparation.instances import consecutive_labels
from cellseg_mm.preparation.problems import BadFileError, Problem, reading
from cellseg_mm.preparation.raw_reader import LARGEST_SIDE, read_mask

OPTIONS = ("images", "default_class", "cell_classes")
_FOLDERS = ("mask", "masks", "label", "labels")
_ENDINGS = (".tif", ".tiff", ".png", ".npy")
_LABELS = re.compile(r"(.+?)_(?:cp_masks|masks?|labels?|seg)")
_LARGEST_ID = 2**32 - 1


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read label images; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    stems = {path: stem for path in files_below(source, "*") if (stem := _stem_of_image(path))}
    if not stems:
        what = "it holds no label image" if source.is_dir() else "no such folder"
        yield Problem(source, what, "put masks/NAME.tif or NAME_masks.tif there for each image")
        return
    found, problems = ImageFiles(options.images or source, stems).of_stems(
        {path: (stem, f"{stem}_img") for path, stem in stems.items()}
    )
    yield from problems
    try:
        classes = None if options.cell_classes is None else CellClasses(options.cell_classes)
    except BadFileError as error:
        yield error.problem
        return
    names = names_of(found.values())

    def read_one(path: Path) -> AnnotatedImage:
        labels = _read_labels(path)
        height, width = labels.shape
        return AnnotatedImage(
            name=names[found[path]],
            source=path,
            pixels=found[path],
            cells=_cells(labels, classes, stems[path]),
            size=(height, width),
            part=part_of(path, source),
        )

    yield from attempts(found, read_one)


def _stem_of_image(path: Path) -> str | None:
    """The stem of the image whose labels a file has; None for a file of another kind."""
    if path.suffix.lower() not in _ENDINGS:
        return None
    stem = path.stem.removesuffix(".ome")
    if named := _LABELS.fullmatch(stem):
        return named[1]
    in_folder = path.parent.name.lower() in _FOLDERS
    return stem if in_folder or path.suffix.lower() == ".npy" else None


def _cells(labels: npt.NDArray[np.integer], classes: CellClasses | None, image: str) -> list[Cell]:
    cells = label_map_cells(labels, "")
    if classes is None:
        return [Cell(None, cell.shape) for cell in cells]
    names = classes.of(image)
    ids = consecutive_labels(labels)[0].tolist()
    return [Cell(names.get(raw), cell.shape) for raw, cell in zip(ids, cells, strict=True)]


def _read_labels(path: Path) -> npt.NDArray[np.integer]:
    suffix = path.suffix.lower()
    if suffix == ".png":
        return read_png_values(path)
    if suffix != ".npy":
        return read_mask(path, None)[0]
    is_seg = path.stem.endswith("_seg")
    values = read_seg_masks(path) if is_seg else _read_npy(path)
    if values.ndim != 2 or max(values.shape) > LARGEST_SIDE:
        what = f"its array has the shape {values.shape}, not height × width"
        raise BadFileError(path, what, "save the labels of one flat image")
    return whole_numbers(path, "it", values, _LARGEST_ID)


def _read_npy(path: Path) -> npt.NDArray:
    with reading(path, "not a readable .npy file", "save the labels again with numpy.save"):
        return np.load(path, mmap_mode="r", allow_pickle=False)
