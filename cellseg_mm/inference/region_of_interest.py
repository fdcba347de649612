"""Outlines that a person drew around what is to be searched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from cellseg_mm.errors import MissingFileError, UserError


class RegionOfInterest:
    """Polygons, in pixels of an image's full resolution.

    Args:
        polygons: What is to be searched; outlines that cross themselves are mended.
        name: Of their file, for messages.

    Raises:
        UserError: No polygon has an area.
    """

    def __init__(self, polygons: list[BaseGeometry], name: str) -> None:
        whole = shapely.union_all([shapely.make_valid(polygon) for polygon in polygons])
        if not whole.area > 0:
            raise UserError(f"{name} holds no polygon with an area: draw one around the cells.")
        self.name = name
        self._polygons = whole
        shapely.prepare(whole)

    def touches(self, x1: float, y1: float, x2: float, y2: float) -> bool:
        """Whether a part of the image has a place inside."""
        return bool(shapely.intersects(self._polygons, shapely.box(x1, y1, x2, y2)))

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether places lie inside: arrays of one shape, or numbers."""
        inside: npt.NDArray[np.bool_] = np.asarray(shapely.intersects_xy(self._polygons, x, y))
        return inside

    def area_within(self, width: int, height: int) -> float:
        """Area inside an image of that size, pixels."""
        return float(shapely.intersection(self._polygons, shapely.box(0, 0, width, height)).area)

    def check_overlap(self, width: int, height: int, image: Path) -> None:
        """Refuse polygons that leave nothing of an image.

        Raises:
            UserError: They lie outside of it.
        """
        if not self.touches(0, 0, width, height):
            x1, y1, x2, y2 = self._polygons.bounds
            raise UserError(
                f"The polygons of {self.name} lie from ({x1:.0f}, {y1:.0f}) to "
                f"({x2:.0f}, {y2:.0f}), outside of the {width}×{height} pixels of {image}: draw "
                "them in pixels of its full resolution."
            )


def read_region_of_interest(path: Path) -> RegionOfInterest:
    """Read the polygons of a GeoJSON file, such as QuPath exports; lines and points are left out.

    Raises:
        MissingFileError: The file does not exist.
        UserError: It is no GeoJSON, or holds no polygon.
    """
    if not path.is_file():
        raise MissingFileError(f"The region of interest {path} does not exist.")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        polygons = [shape(geometry) for geometry in _geometries(content)]
    except Exception as error:  # shapely has many
        raise UserError(
            f"{path} is not GeoJSON ({type(error).__name__}): export it again."
        ) from error
    areas = [part for polygon in polygons for part in shapely.get_parts(polygon)]
    return RegionOfInterest([part for part in areas if part.geom_type == "Polygon"], str(path))


def _geometries(content: Any) -> Iterator[dict[str, Any]]:
    """The geometries of a collection, a feature, a geometry, or a list of them."""
    if isinstance(content, list):
        for part in content:
            yield from _geometries(part)
    elif content["type"] == "FeatureCollection":
        yield from _geometries(content["features"])
    elif content["type"] == "Feature":
        if content["geometry"]:
            yield from _geometries(content["geometry"])
    elif content["type"] == "GeometryCollection":
        yield from _geometries(content["geometries"])
    else:
        yield content
