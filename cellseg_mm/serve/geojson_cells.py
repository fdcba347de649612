"""Cells of a GeoJSON file: one that ``cellseg segment`` wrote, or a truth that a person drew."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError

_HEAD = b'{"type":"FeatureCollection","features":['
"""How files of this package begin; each of their lines is a feature, which spares the memory."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DrawnCell:
    """A cell as a file has it.

    Attributes:
        name: Of its class.
        colour: Of its class, `#rrggbb`, if the file says it.
        rings: Outline and holes, (N, 2) x and y each, open; of several pieces the largest.
        measurements: By name; ``score`` and ``probability_…`` among them.
    """

    name: str
    colour: str | None
    rings: list[Points]
    measurements: dict[str, Any]


def read_cells(path: Path) -> Iterator[DrawnCell]:
    """Read the polygons of a file; lines, points and what has no geometry are left out.

    Args:
        path: GeoJSON, compressed if its name ends in ``.gz``.

    Raises:
        UserError: It is no GeoJSON.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for feature in _features(file):
                if (cell := _cell(feature)) is not None:
                    yield cell
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UserError(
            f"{path} is not GeoJSON with polygons ({type(error).__name__}): export it again."
        ) from error


def _features(file: IO[bytes]) -> Iterator[Any]:
    head = file.readline()
    if head.rstrip() == _HEAD:
        for line in file:
            if line.startswith(b"{"):
                yield json.loads(line.rstrip().rstrip(b","))
        return
    yield from _inside(json.loads((head + file.read()).decode("utf-8-sig")))


def _inside(content: Any) -> Iterator[Any]:
    if isinstance(content, list):
        for part in content:
            yield from _inside(part)
    elif content["type"] == "FeatureCollection":
        yield from _inside(content["features"])
    elif content["type"] == "Feature":
        yield content
    else:
        yield {"geometry": content}


def _cell(feature: Any) -> DrawnCell | None:
    # QuPath's cells have their nucleus beside the outline.
    geometry = feature.get("nucleusGeometry") or feature.get("geometry") or {"type": None}
    if geometry["type"] == "Polygon":
        rings = _rings(geometry["coordinates"])
    elif geometry["type"] == "MultiPolygon":
        pieces = [_rings(piece) for piece in geometry["coordinates"]]
        rings = max(pieces, key=lambda piece: np.ptp(piece[0], axis=0).prod(), default=[])
    else:
        return None
    properties = feature.get("properties") or {}
    kind = properties.get("classification") or {}
    colour = kind.get("color")
    return DrawnCell(
        str(kind.get("name") or "unclassified"),
        "#{:02x}{:02x}{:02x}".format(*colour) if isinstance(colour, list) else None,
        rings,
        dict(properties.get("measurements") or {}),
    )


def _rings(coordinates: Any) -> list[Points]:
    rings = [np.array(ring, np.float64)[:-1, :2] for ring in coordinates]
    if not rings or len(rings[0]) < 3 or not all(np.isfinite(ring).all() for ring in rings):
        raise ValueError("a polygon without corners")
    return rings
