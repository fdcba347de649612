"""Cells as GeoJSON that QuPath opens: a detection each, with its class and measurements.

Coordinates are pixels of the image as QuPath shows it. Outlines run along the edges of pixels, so
their area is the one in the label map.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import IO

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.polygon import Ring
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink
from cellseg_mm.structures.palette import class_colour, rgb

_IDS = uuid.UUID("b6a1f7d4-5a0e-5c1b-9d53-6f6d1c2e7a10")
"""Namespace of the cells' ids."""

_TOLD_OTHERWISE = ("class", "x_px", "y_px", "x_um", "y_um")
"""Columns that a feature tells otherwise."""

_ENCODER = json.JSONEncoder(separators=(",", ":"))


@contextmanager
def geojson_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write a ``FeatureCollection``; a path that ends in ``.gz`` is compressed."""
    with atomic_write(path) as unfinished, unfinished.open("wb") as raw:
        if path.suffix == ".gz":
            # Neither a name nor a time, so that the same cells give the same bytes.
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                yield from _collection(file, image)
        else:
            yield from _collection(raw, image)


def _collection(file: IO[bytes] | gzip.GzipFile, image: ResultImage) -> Iterator[ResultSink]:
    file.write(b'{"type":"FeatureCollection","features":[')
    yield _Features(file, image)
    file.write(b"\n]}\n")


class _Features:
    def __init__(self, file: IO[bytes] | gzip.GzipFile, image: ResultImage) -> None:
        self._file = file
        self._image = image
        self._separator = "\n"

    def add(self, batch: ResultCells) -> None:
        for cell in batch.cells:
            text = _ENCODER.encode(cell_feature(cell, self._image))
            self._file.write((self._separator + text).encode())
            self._separator = ",\n"


def cell_feature(cell: ResultCell, image: ResultImage) -> dict[str, object]:
    """A cell as a GeoJSON ``Feature``; measurements that are NaN are left out.

    Lengths are in µm where the scale is known, else in pixels.
    """
    measurements = {
        name: value
        for name, value in cell.row.items()
        if name not in _TOLD_OTHERWISE
        and not (image.mpp is not None and name.endswith("_px"))
        and not (isinstance(value, float) and isnan(value))
    }
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_IDS, f"{image.name}/{cell.number}")),
        "geometry": {"type": "Polygon", "coordinates": [_closed(ring) for ring in cell.rings]},
        "properties": {
            "objectType": "detection",
            "classification": {
                "name": image.classes[cell.label],
                "color": list(rgb(class_colour(cell.label))),
            },
            "measurements": measurements,
        },
    }


def _closed(ring: Ring) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]
