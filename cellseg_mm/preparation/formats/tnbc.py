"""TNBC: triple-negative breast cancer, 50 images of 512 × 512 pixels, nuclei of one class.

::

    Slide_01/01_1.png   GT_01/01_1.png

Nuclei are the pieces of one value in a `GT` file that touch, also at a corner. Each slide is of
another patient. The later edition with brain tissue ("TNBC and Brain") has the same form. The size
of a pixel is not stated.

Naylor et al., "Segmentation of Nuclei in Histopathology Images by Deep Regression of the Distance
Map", IEEE Transactions on Medical Imaging 38(2), 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from skimage.measure import label

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
from cellseg_mm.preparation.formats.label_maps import labelled_image
from cellseg_mm.preparation.formats.png_values import read_png_values
from cellseg_mm.preparation.formats.set_files import by_key, files_below, read_pairs
from cellseg_mm.preparation.problems import Problem

OPTIONS = ()
CLASSES = ("nucleus",)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    yield from read_pairs(
        source,
        by_key(files_below(source, "Slide_*/*.png")),
        by_key(files_below(source, "GT_*/*.png")),
        _read_one,
        "Slide_01/*.png and GT_01/*.png",
    )


def _read_one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
    pieces = label(read_png_values(annotation), connectivity=2)
    slide = image.parent.name
    return labelled_image(name, image, annotation, pieces, CLASSES[0], patient=slide)
