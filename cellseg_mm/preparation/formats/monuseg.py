"""MoNuSeg and its forerunner of Kumar et al.: TCGA at 40×, 1000 × 1000 pixels, one class.

::

    MoNuSeg 2018 Training Data/Tissue Images/TCGA-18-5592-01Z-00-DX1.tif
    MoNuSeg 2018 Training Data/Annotations/TCGA-18-5592-01Z-00-DX1.xml
    MoNuSegTestData/TCGA-2Z-A9J9-01A-01-TS1.tif
    MoNuSegTestData/TCGA-2Z-A9J9-01A-01-TS1.xml

An image and its annotations (ImageScope's XML) have the same name, in whatever folders. What lies
in a folder with "test" in its name is the test part. The files state µm per pixel.

A pixel belongs to a nucleus if its centre lies inside the outline, see
:mod:`~cellseg_mm.preparation.formats.cell_masks`. The published readers differ by half a pixel, and
by the pixels on the edge.

Kumar et al., "A Dataset and a Technique for Generalized Nuclear Segmentation for Computational
Pathology", IEEE Transactions on Medical Imaging 36(7), 2017; Kumar et al., "A Multi-Organ Nucleus
Segmentation Challenge", IEEE Transactions on Medical Imaging 39(5), 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    Outline,
    ReadOptions,
)
from cellseg_mm.preparation.formats.imagescope_xml import read_annotations
from cellseg_mm.preparation.formats.set_files import (
    by_key,
    files_below,
    is_of_test_part,
    read_pairs,
)
from cellseg_mm.preparation.image_groups import patient_of
from cellseg_mm.preparation.problems import Problem

OPTIONS = ()
CLASSES = ("nucleus",)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the images of a download; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    yield from read_pairs(
        source,
        by_key(files_below(source, "*.tif")),
        by_key(files_below(source, "*.xml")),
        partial(_read_one, source),
        '"Tissue Images/*.tif" and "Annotations/*.xml"',
    )


def _read_one(source: Path, name: str, image: Path, annotation: Path) -> AnnotatedImage:
    regions, mpp = read_annotations(annotation, None)
    return AnnotatedImage(
        name=name,
        source=annotation,
        pixels=image,
        cells=[Cell(CLASSES[0], Outline([[region.vertices]])) for region in regions],
        mpp=mpp,
        patient=patient_of(name),
        part="test" if is_of_test_part(annotation, source) else "train",
    )
