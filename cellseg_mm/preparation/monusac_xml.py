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
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import numpy.typing as npt
from defusedxml import DTDForbidden, ElementTree
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


def read_regions(path: Path) -> list[Region]:
    """Read the regions of an annotation file, in file order.

    Raises:
        BadFileError: Not readable, not well-formed, not an ImageScope file, an unknown class, a
            vertex without finite coordinates, or a DOCTYPE (entities are never expanded).
    """
    try:
        root = ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
    except DTDForbidden as error:
        raise BadFileError(
            path, "it has a DOCTYPE", "take the original file, which has none"
        ) from error
    except (OSError, ParseError, ValueError, LookupError) as error:
        raise BadFileError(path, f"not readable as XML ({error})", "download it again") from error
    if root.tag != "Annotations":
        raise BadFileError(path, f"it begins with <{root.tag}>, not <Annotations>", _TAKE_ORIGINAL)
    regions = []
    for number, annotation in enumerate(root.iter("Annotation"), start=1):
        place = f"annotation {number}"
        label = None
        for attribute in annotation.iterfind("Attributes/Attribute"):
            label = _class_name(path, place, attribute)
        for region in annotation.iter("Region"):
            if label is None:
                raise BadFileError(path, f"{place} has regions, but no class name", _TAKE_ORIGINAL)
            points = [_point(path, place, vertex) for vertex in region.iter("Vertex")]
            regions.append(Region(label, np.array(points, np.float64).reshape(-1, 2)))
    return regions


def _class_name(path: Path, place: str, attribute: Element) -> str:
    name = attribute.get("Name", "").strip().lower()
    if name not in (*CLASSES, AMBIGUOUS):
        raise BadFileError(
            path,
            f"{place}: the class {name!r} is unknown",
            f"use {', '.join(CLASSES)} or {AMBIGUOUS}",
        )
    return name


def _point(path: Path, place: str, vertex: Element) -> tuple[float, float]:
    try:
        x, y = float(vertex.attrib["X"]), float(vertex.attrib["Y"])
    except (KeyError, ValueError):
        raise BadFileError(
            path, f"{place}: a vertex lacks a number X or Y", _TAKE_ORIGINAL
        ) from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise BadFileError(path, f"{place}: a vertex lies at ({x}, {y})", _TAKE_ORIGINAL)
    return x, y


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
