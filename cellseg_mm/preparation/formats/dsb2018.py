"""Data Science Bowl 2018, stage 1 (BBBC038): nuclei of one class, a mask file for each.

::

    stage1_train/<id>/images/<id>.png
    stage1_train/<id>/masks/<hash>.png …   0 and 255

Few of its 670 images are stained with H&E; most show fluorescence and are grey. All are taken.
Images without a folder "masks" (the test parts) are passed over. Patients and the size of a pixel
are not stated.

Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl",
Nature Methods 16, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Cell, ReadOptions
from cellseg_mm.preparation.formats.label_maps import label_map_cells
from cellseg_mm.preparation.formats.png_values import read_png_values
from cellseg_mm.preparation.formats.set_files import (
    DOWNLOAD_AGAIN,
    attempts,
    files_below,
    nothing_found,
)
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ()
CLASSES = ("nucleus",)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    folders = sorted(
        path.parent for path in source.rglob("masks") if path.is_dir() and path.parent != source
    )
    if not folders:
        yield nothing_found(source, "<id>/images/*.png and <id>/masks/*.png")
    for folder in folders:
        images = files_below(folder, "images/*.png")
        if len(images) != 1:
            what = f"images/ holds {len(images)} PNG files, not one"
            yield Problem(folder, what, DOWNLOAD_AGAIN)
            continue
        yield from attempts(images, partial(_read_one, folder))


def _read_one(folder: Path, image: Path) -> AnnotatedImage:
    cells: list[Cell] = []
    size: tuple[int, int] | None = None
    for path in files_below(folder, "masks/*.png"):
        mask = read_png_values(path) > 0
        height, width = mask.shape
        if size not in (None, (height, width)):
            what = f"it is {height} × {width} pixels (height × width), unlike other masks"
            raise BadFileError(path, what, DOWNLOAD_AGAIN)
        size = height, width
        cells += label_map_cells(mask.astype(np.uint8), CLASSES[0])
    return AnnotatedImage(folder.name, folder, image, cells, size)
