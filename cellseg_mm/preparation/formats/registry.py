"""The formats by name. A format's module is imported when it is used.

A module offers::

    OPTIONS: the fields of ReadOptions that it honours, as a tuple of names
    CLASSES: optional: names of the classes in their order, where the format fixes them
    read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]

`read` goes on after a bad file: it yields the problem, so that all of them are told at once. It
holds one image's annotations at a time where the format permits.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:  # their imports take time, which --help should not
    from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, ReadOptions
    from cellseg_mm.preparation.problems import Problem

FORMATS = {
    "qupath": "GeoJSON that QuPath exported, with the images beside it or in --images",
    "coco": "COCO JSON: of CVAT, Roboflow, labelme and others",
    "labelme": "labelme's JSON, one for each image",
    "label-images": "label images (.tif, .png, .npy), Cellpose's _seg.npy, StarDist's folders",
    "imagej": "zips of ImageJ's ROIs, one for each image",
    "monusac": "the MoNuSAC download: folders with .svs or .tif images and ImageScope's .xml",
    "consep": "the CoNSeP download: .png images and .mat labels",
    "pannuke": "the PanNuke download: folds of images.npy and masks.npy",
    "lizard": "the Lizard download: .png images and .mat labels",
    "conic": "the CoNIC download: images.npy and labels.npy",
    "nuinsseg": "the NuInsSeg download: a folder for each organ",
    "puma": "the PUMA download: .tif images and GeoJSON of nuclei",
    "nucls": "the NuCLS download: folders rgb, csv and mask",
    "monuseg": "the MoNuSeg or Kumar download: .tif images and ImageScope's .xml",
    "tnbc": "the TNBC download: folders Slide_01, GT_01, …",
    "dsb2018": "the Data Science Bowl 2018, stage 1: a mask file for each nucleus",
}
"""What each format is, in a line; the module has the format's name, with "_" for "-"."""

TOOLS = {
    "cellpose": "label-images",
    "stardist": "label-images",
    "cvat": "coco",
    "roboflow": "coco",
    "fiji": "imagej",
    "kumar": "monuseg",
}
"""Formats by the names of tools and sets that have no format of their own."""


class FormatModule(Protocol):
    """What a format's module offers; see above. `CLASSES` may be absent."""

    OPTIONS: tuple[str, ...]

    def read(self, source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
        """Read the images in the order of their names."""


def format_module(name: str) -> FormatModule:
    """Import the module of a format.

    Args:
        name: A key of `FORMATS`.
    """
    path = f"cellseg_mm.preparation.formats.{name.replace('-', '_')}"
    return cast(FormatModule, import_module(path))
