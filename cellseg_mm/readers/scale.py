"""µm per pixel, from what files state.

Never from the magnification of an objective, which says little about the size of a pixel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from xml.etree import ElementTree

Scale = tuple[float, float]
"""µm per pixel in x and in y."""

SMALLEST, LARGEST = 0.05, 5.0
"""µm per pixel at which a nucleus has between 2 and 200 pixels in diameter.

What lies outside is no scale of a microscope, but the 72, 96, 300 or 1,200 dpi of a photo or a
print, or an unset field; it counts as unknown.
"""

SAME = 0.02
"""Scales that differ by less are one: resampling would blur more than it mends."""

MICROMETRES: Mapping[str, float] = {
    **{"m": 1e6, "cm": 1e4, "mm": 1e3, "nm": 1e-3, "pm": 1e-6, "inch": 25_400, "in": 25_400},
    **dict.fromkeys(["µm", "μm", "um", "micron", "microns", "micrometer", "\\u00B5m"], 1.0),
}
"""Length of a unit in µm, by the names that OME-XML and ImageJ use."""


def plausible(x: float, y: float) -> Scale | None:
    """The scale, or None if it cannot be one of a microscope."""
    return (x, y) if all(SMALLEST <= value <= LARGEST for value in (x, y)) else None


def from_density(x: float, y: float, unit: float) -> Scale | None:
    """The scale of an image with x and y pixels in a length of ``unit`` µm."""
    if not (0 < x < math.inf and 0 < y < math.inf):
        return None
    return plausible(unit / x, unit / y)


def from_aperio(description: str) -> Scale | None:
    """The scale of an SVS, from the field MPP of its description."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.eE+-]+)", description)
    try:
        value = float(found[1]) if found else 0.0
    except ValueError:
        return None
    return plausible(value, value)


def from_ome(xml: str, width: int, height: int) -> Scale | None:
    """The scale of the first image of an OME-XML text that has a size."""
    pixels = ome_pixels(xml, width, height)
    if pixels is None:
        return None
    values = []
    for axis in ("X", "Y"):
        unit = MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            values.append(float(pixels.get(f"PhysicalSize{axis}", "")) * (unit or math.nan))
        except ValueError:
            return None
    return plausible(*values)


def ome_pixels(xml: str, width: int, height: int) -> ElementTree.Element | None:
    """The element ``Pixels`` of the first image of an OME-XML text that has a size."""
    try:
        elements = list(ElementTree.fromstring(xml).iter())
    except ElementTree.ParseError:
        return None
    for element in elements:
        size = element.get("SizeX"), element.get("SizeY")
        if element.tag.endswith("}Pixels") and size == (str(width), str(height)):
            return element
    return None
