"""Outlines of GeoJSON: Polygon and MultiPolygon."""

from __future__ import annotations

from typing import Any

import numpy as np

from cellseg_mm.preparation.formats.annotated_image import Outline, Ring


def outline(geometry: dict[str, Any]) -> Outline:
    """The outline that a geometry describes.

    Args:
        geometry: With `type` Polygon or MultiPolygon and `coordinates`.

    Raises:
        ValueError: Its coordinates are no rings of finite numbers.
        KeyError: It has no coordinates, or another type.
        TypeError: They are of another form.
    """
    nested = {"Polygon": lambda rings: [rings], "MultiPolygon": lambda polygons: polygons}
    polygons = nested[geometry["type"]](geometry["coordinates"])
    return Outline([[_ring(points) for points in rings] for rings in polygons])


def _ring(points: Any) -> Ring:
    try:
        ring = np.array(points, np.float64)
    except OverflowError as error:
        raise ValueError("a coordinate is too large") from error
    if ring.ndim != 2 or ring.shape[1] < 2 or not np.isfinite(ring).all():
        raise ValueError("a ring is no list of points")
    return ring[:, :2]
