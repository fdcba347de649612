"""Outlines as polygons, filled again by even-odd rule."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Ring
from scipy import ndimage

from cellseg_mm.inference.cell_geojson import CellGeoJsonWriter, cell_geometry
from cellseg_mm.models.test_time.seams import DetectedCell


def cell(bitmap: np.ndarray, left: int = 0, top: int = 0) -> DetectedCell:
    return DetectedCell((0.0, 0.0, 1.0, 1.0), 0.98765, 1, left, top, bitmap.astype(bool))


@settings(deadline=None, max_examples=100)
@given(
    arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_polygons_enclose_exactly_the_mask(bitmap: np.ndarray, left: int, top: int) -> None:
    geometry = cell_geometry(cell(bitmap, left, top))
    polygons = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    assert len(polygons) == ndimage.label(bitmap)[1]  # parts of 4 neighbours
    height, width = bitmap.shape
    y, x = np.mgrid[:height, :width]
    centres = np.column_stack([x.ravel() + left + 0.5, y.ravel() + top + 0.5])
    filled = np.zeros(bitmap.shape, int)
    for polygon in polygons:
        inside = np.zeros(bitmap.shape, int)
        for ring in polygon:
            assert ring[0] == ring[-1]
            assert len({tuple(corner) for corner in ring}) == len(ring) - 1 >= 4
            inside += Ring(ring).contains_points(centres).reshape(bitmap.shape)
        filled += inside % 2
    np.testing.assert_array_equal(filled, bitmap)


@pytest.mark.parametrize(
    ("bitmap", "geometry"),
    [
        ([[1]], {"type": "Polygon", "coordinates": [[[5, 7], [5, 8], [6, 8], [6, 7], [5, 7]]]}),
        (
            [[1, 0], [0, 1]],
            {
                "type": "MultiPolygon",
                "coordinates": [
                    [[[5, 7], [5, 8], [6, 8], [6, 7], [5, 7]]],
                    [[[6, 8], [6, 9], [7, 9], [7, 8], [6, 8]]],
                ],
            },
        ),
    ],
)
def test_small_cells(bitmap: list[list[int]], geometry: dict[str, object]) -> None:
    assert cell_geometry(cell(np.array(bitmap), left=5, top=7)) == geometry


def test_a_collection_is_what_qupath_opens() -> None:
    for count in (0, 1, 3):
        file = io.StringIO()
        writer = CellGeoJsonWriter(file, ["a", "b"])
        for number in range(1, count + 1):
            writer.write(number, cell(np.ones((2, 2))))
        writer.close()
        collection = json.loads(file.getvalue())
        assert collection["type"] == "FeatureCollection"
        assert len(collection["features"]) == count
    last = collection["features"][-1]
    assert last["type"] == "Feature"
    assert last["properties"]["objectType"] == "detection"
    assert last["properties"]["classification"]["name"] == "b"
    assert last["properties"]["measurements"] == {"score": 0.9877, "label": 3}
