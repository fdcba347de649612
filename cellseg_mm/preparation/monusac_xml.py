"""Reads MoNuSAC annotations (Aperio ImageScope XML) into one map of instance ids a class.

The rules are those by which MoNuSAC's own code makes its "n-ary" masks, from which the task's masks
come: vertices are (X, Y) = (column, row) in pixels of the image; a region is filled as
`skimage.draw.polygon` fills it, cut off at the image's border; ids count the regions of the whole
file, in file order, over the classes; a later region paints over an earlier one of its class.

Verma et al., "MoNuSAC2020: A Multi-Organ Nuclei Segmentation and Classification Challenge", IEEE
Transactions on Medical Imaging 40(12), 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

from cellseg_mm.preparation.problems import BadFileError

CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
AMBIGUOUS = "ambiguous"

_TAKE_ORIGINAL = "take the original file of the download"


class Region(NamedTuple):
    """One outlined cell.

    Attributes:
        label: Name of its class, lower case: one of `CLASSES`, or `AMBIGUOUS`.
        vertices: (N, 2) float64, X (column) and Y (row), pixels.
    """

    label: str
    vertices: npt.NDArray[np.float64]


class _Reader:
    """Collects regions while expat walks through the file.

    Entities are what makes XML dangerous (a few lines that expand to gigabytes, files read from
    disk), and they can be declared only in a DOCTYPE: one is refused before anything is expanded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open_tags: list[str] = []
        self._label: str | None = None
        self._vertices: list[tuple[float, float]] = []
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self.regions: list[Region] = []

    def read(self) -> list[Region]:
        try:
            self._parser.Parse(self._path.read_bytes(), True)
        except (OSError, expat.ExpatError) as error:
            raise BadFileError(
                self._path, f"not readable as XML ({error})", "download it again"
            ) from error
        return self.regions

    def _error(self, what: str, remedy: str) -> BadFileError:
        return BadFileError(self._path, f"line {self._parser.CurrentLineNumber}: {what}", remedy)

    def _refuse_doctype(self, *_: object) -> None:
        raise self._error("it has a DOCTYPE", "take the original file, which has none")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self._open_tags[-1] if self._open_tags else None
        self._open_tags.append(tag)
        if parent is None and tag != "Annotations":
            raise self._error(f"it begins with <{tag}>, not <Annotations>", _TAKE_ORIGINAL)
        if tag == "Annotation":
            self._label = None
        elif tag == "Attribute" and self._open_tags[-3:-1] == ["Annotation", "Attributes"]:
            self._label = self._class_name(attributes)
        elif tag == "Region":
            if self._label is None:
                raise self._error("a region comes before the name of its class", _TAKE_ORIGINAL)
            self._vertices = []
        elif tag == "Vertex":
            self._vertices.append(self._point(attributes))

    def _end(self, tag: str) -> None:
        self._open_tags.pop()
        if tag == "Region" and self._label is not None:
            vertices = np.array(self._vertices, np.float64).reshape(-1, 2)
            self.regions.append(Region(self._label, vertices))

    def _class_name(self, attributes: dict[str, str]) -> str:
        name = attributes.get("Name", "").strip().lower()
        if name not in (*CLASSES, AMBIGUOUS):
            raise self._error(
                f"the class {name!r} is unknown", f"use {', '.join(CLASSES)} or {AMBIGUOUS}"
            )
        return name

    def _point(self, attributes: dict[str, str]) -> tuple[float, float]:
        try:
            x, y = float(attributes["X"]), float(attributes["Y"])
        except (KeyError, ValueError):
            raise self._error("a vertex lacks a number X or Y", _TAKE_ORIGINAL) from None
        if not (math.isfinite(x) and math.isfinite(y)):
            raise self._error(f"a vertex lies at ({x}, {y})", _TAKE_ORIGINAL)
        return x, y


def read_regions(path: Path) -> list[Region]:
    """Read the regions of an annotation file, in file order.

    Raises:
        BadFileError: Not readable, not well-formed, not an ImageScope file, an unknown class, a
            vertex without finite coordinates, or a DOCTYPE (entities are never expanded).
    """
    return _Reader(path).read()


def paint_regions(regions: Sequence[Region], height: int, width: int) -> npt.NDArray[np.int32]:
    """Fill regions as MoNuSAC's own code does.

    Every region takes the next id, also an ambiguous one, which is not painted, and one that covers
    no pixel; so the ids do not depend on what is dropped. Regions with fewer than three vertices
    enclose nothing and take no id (MoNuSAC's code stops at them, so no rule is given).

    Args:
        regions: Regions in file order.
        height: Image height, pixels.
        width: Image width, pixels.

    Returns:
        (4, H, W) int32: one map of instance ids for each of `CLASSES`, 0 = background.
    """
    label_maps = np.zeros((len(CLASSES), height, width), np.int32)
    instance_id = 0
    for label, vertices in regions:
        if len(vertices) < 3:
            continue
        instance_id += 1
        if label == AMBIGUOUS:
            continue
        rows, columns = polygon(vertices[:, 1], vertices[:, 0], (height, width))
        label_maps[CLASSES.index(label), rows, columns] = instance_id
    return label_maps
