"""NuInsSeg: 31 human and mouse organs, 665 images of 512 × 512 pixels, nuclei of one class.

::

    human bladder/tissue images/human_bladder_01.png
    human bladder/label masks modify/human_bladder_01.tif

"label masks modify" holds the instance ids that the makers say to evaluate with: where nuclei
overlap, the pixels are given to one of them. The other folders derive from the same annotations,
but for "vague areas", which are not taken: nuclei that could not be annotated there count as
background. All images of an organ are of one slide, so they count as one patient's. The size of a
pixel is not stated.

Mahbod et al., "NuInsSeg: A fully annotated dataset for nuclei instance segmentation in H&E-stained
histological images", Scientific Data 11, 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
from cellseg_mm.preparation.formats.label_maps import labelled_image
from cellseg_mm.preparation.formats.set_files import by_key, files_below, read_pairs
from cellseg_mm.preparation.problems import Problem
from cellseg_mm.preparation.raw_reader import read_mask

OPTIONS = ()
CLASSES = ("nucleus",)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    yield from read_pairs(
        source,
        by_key(files_below(source, "tissue images/*.png")),
        by_key(files_below(source, "label masks modify/*.tif")),
        _read_one,
        '"human bladder/tissue images/*.png" and "human bladder/label masks modify/*.tif"',
    )


def _read_one(name: str, image: Path, annotation: Path) -> AnnotatedImage:
    labels, _ = read_mask(annotation, None)
    organ = annotation.parent.parent.name
    return labelled_image(name, image, annotation, labels, CLASSES[0], patient=organ)
