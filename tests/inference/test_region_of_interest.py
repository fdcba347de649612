"""Polygons of a person, from GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.inference.region_of_interest import RegionOfInterest, read_region_of_interest

SQUARE = {"type": "Polygon", "coordinates": [[[10, 10], [50, 10], [50, 50], [10, 50], [10, 10]]]}
RING = {
    "type": "Polygon",
    "coordinates": [
        [[100, 0], [200, 0], [200, 100], [100, 100], [100, 0]],
        [[120, 20], [180, 20], [180, 80], [120, 80], [120, 20]],
    ],
}
BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]}
LINE = {"type": "LineString", "coordinates": [[0, 0], [500, 500]]}


def feature(geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation"}}


def read(folder: Path, content: Any, prefix: bytes = b"") -> RegionOfInterest:
    path = folder / "roi.geojson"
    path.write_bytes(prefix + json.dumps(content).encode())
    return read_region_of_interest(path)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [feature(SQUARE), feature(RING), feature(LINE)]},
        [feature(SQUARE), feature(RING), feature(None)],
        {"type": "GeometryCollection", "geometries": [SQUARE, RING]},
        feature(
            {"type": "MultiPolygon", "coordinates": [p["coordinates"] for p in (SQUARE, RING)]}
        ),
    ],
)
def test_every_form_of_geojson(tmp_path: Path, content: Any) -> None:
    roi = read(tmp_path, content, prefix=b"\xef\xbb\xbf")  # a byte order mark, as of Windows
    x, y = np.array([30, 10, 5, 110, 150, 300]), np.array([30, 10, 5, 50, 50, 300])
    assert roi.contains(x, y).tolist() == [True, True, False, True, False, False]
    assert roi.contains(30, 30)
    assert roi.touches(0, 0, 20, 20)
    assert roi.touches(20, 20, 30, 30)  # inside
    assert roi.touches(0, 0, 1000, 1000)  # around
    assert not roi.touches(60, 0, 90, 200)  # between
    assert not roi.touches(130, 30, 170, 70)  # in the hole


def test_an_outline_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    roi = read(tmp_path, BOW_TIE)
    assert roi.contains([1, 9, 5], [5, 5, 1]).tolist() == [True, True, False]


def test_polygons_beside_the_image_are_refused(tmp_path: Path) -> None:
    roi = read(tmp_path, SQUARE)
    roi.check_overlap(20, 20, Path("a.tif"))
    with pytest.raises(
        UserError, match=r"from \(10, 10\) to \(50, 50\), outside of the 9×9 pixels"
    ):
        roi.check_overlap(9, 9, Path("a.tif"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"roi\.geojson is not GeoJSON"),
        ("3", r"roi\.geojson is not GeoJSON"),
        ('{"a": 1}', r"roi\.geojson is not GeoJSON"),
        ('{"type": "Polygon", "coordinates": "x"}', r"roi\.geojson is not GeoJSON"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, null], [2, 2], [0, 0]]]}', "geojson"),
        ('{"type": "FeatureCollection", "features": []}', "holds no polygon with an area"),
        (json.dumps(LINE), "holds no polygon with an area"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "roi.geojson").write_text(content)
    with pytest.raises(UserError, match=message):
        read_region_of_interest(tmp_path / "roi.geojson")


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_region_of_interest(tmp_path / "none.geojson")
