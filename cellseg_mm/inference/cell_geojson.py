"""Cells as GeoJSON that QuPath opens, written one by one.

Each cell is a QuPath detection with a class, its score, and its value in the label map. Polygons
run along the edges of pixels, so they enclose the mask exactly: pixel (x, y) is the square from
(x, y) to (x + 1, y + 1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.structures.palette import class_colour, rgb

Ring = list[list[int]]


class CellGeoJsonWriter:
    """Writes a GeoJSON ``FeatureCollection``; call :meth:`close` at the end.

    Args:
        file: Text file to write to.
        classes: Names of the classes.
    """

    def __init__(self, file: IO[str], classes: Sequence[str]) -> None:
        self._file = file
        self._classifications = [
            {"name": name, "color": list(rgb(class_colour(index)))}
            for index, name in enumerate(classes)
        ]
        self._separator = "\n"
        file.write('{"type": "FeatureCollection", "features": [')

    def write(self, number: int, cell: DetectedCell) -> None:
        """Append a cell.

        Args:
            number: Its value in the label map, unless better cells cover most of it there.
            cell: The cell.
        """
        feature = {
            "type": "Feature",
            "geometry": cell_geometry(cell),
            "properties": {
                "objectType": "detection",
                "classification": self._classifications[cell.label],
                "measurements": {"score": round(cell.score, 4), "label": number},
            },
        }
        self._file.write(self._separator + json.dumps(feature))
        self._separator = ",\n"

    def close(self) -> None:
        """Write what ends the collection. The file stays open."""
        self._file.write("\n]}\n")


def cell_geometry(cell: DetectedCell) -> dict[str, Any]:
    """The outline of a cell: a ``Polygon``, or a ``MultiPolygon`` if it has several parts.

    Parts that touch in a corner only are apart, since a valid ring does not touch itself.
    """
    count, parts = cv2.connectedComponents(cell.bitmap.astype(np.uint8), connectivity=4)
    polygons = []
    for part in range(1, count):
        # At twice the size, the two pixels along an edge tell on which side of them the edge is.
        doubled = (parts == part).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
        contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        rings = [_ring(contour[:, 0], cell.left, cell.top) for contour in contours]
        outer = [i for i, (*_, parent) in enumerate(hierarchy[0]) if parent < 0]
        holes = [ring for i, ring in enumerate(rings) if i not in outer]
        polygons.append([rings[outer[0]], *holes])
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _ring(contour: npt.NDArray[np.int32], left: int, top: int) -> Ring:
    """Corners of a contour of the doubled mask as a closed ring on the pixels' edges."""
    corners = (contour + 1) // 2
    corners = corners[(corners != np.roll(corners, 1, axis=0)).any(axis=1)]
    ring: Ring = (corners + np.array([left, top])).tolist()
    return [*ring, ring[0]]
