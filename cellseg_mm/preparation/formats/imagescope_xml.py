"""Reads the annotations of Aperio ImageScope (XML): outlined regions and their classes."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import numpy.typing as npt
from defusedxml import DTDForbidden, ElementTree

from cellseg_mm.preparation.problems import BadFileError
from cellseg_mm.readers.scale import plausible

_TAKE_ORIGINAL = "take the original file of the download"


class Region(NamedTuple):
    """One outlined cell.

    Attributes:
        label: Name of its class, lower case; "" where classes are not asked for.
        vertices: (N, 2) float64, X (column) and Y (row), pixels.
    """

    label: str
    vertices: npt.NDArray[np.float64]


class Annotations(NamedTuple):
    """What a file holds.

    Attributes:
        regions: Its regions, in file order.
        mpp: µm per pixel of the annotated image; None where it is not stated.
    """

    regions: list[Region]
    mpp: float | None


def read_annotations(path: Path, classes: Collection[str] | None) -> Annotations:
    """Read an annotation file.

    Args:
        path: The file.
        classes: Names, lower case, of the classes that there may be; None if regions have none.

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
        label = None if classes else ""
        if classes:
            for attribute in annotation.iterfind("Attributes/Attribute"):
                label = _class_name(path, place, attribute, classes)
        for region in annotation.iter("Region"):
            if label is None:
                raise BadFileError(path, f"{place} has regions, but no class name", _TAKE_ORIGINAL)
            points = [_point(path, place, vertex) for vertex in region.iter("Vertex")]
            regions.append(Region(label, np.array(points, np.float64).reshape(-1, 2)))
    return Annotations(regions, _scale(root))


def _scale(root: Element) -> float | None:
    try:
        value = float(root.get("MicronsPerPixel", ""))
    except ValueError:
        return None
    known = plausible(value, value)
    return known and known[0]


def _class_name(path: Path, place: str, attribute: Element, classes: Collection[str]) -> str:
    name = attribute.get("Name", "").strip().lower()
    if name not in classes:
        raise BadFileError(
            path,
            f"{place}: the class {name!r} is unknown",
            f"use {', '.join(classes)}",
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
