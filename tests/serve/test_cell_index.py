"""The layout of cells, against numbers worked out by hand and by shapely."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cellseg_mm.errors import UserError
from cellseg_mm.serve.cell_index import CellIndex
from cellseg_mm.serve.cell_index_writer import write_index
from cellseg_mm.serve.geojson_cells import DrawnCell, read_cells
from cellseg_mm.serve.polygon_moments import areas_and_centroids
from cellseg_mm.serve.request_error import RequestError


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def feature(rings: Any, name: str, score: float | None = None, **more: Any) -> dict[str, Any]:
    measured = {**({} if score is None else {"score": score}), **more}
    properties = {"classification": {"name": name, "color": [255, 0, 16]}, "measurements": measured}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": properties,
    }


FEATURES = [
    feature([square(1020, 10, 4)], "red", 0.5, probability_red=0.5, probability_blue=0.4),
    feature([square(10, 1500, 10), square(12, 1502, 2)[::-1]], "blue", 1.0, solidity=0.7),
    feature([square(0, 0, 2)], "red", 0.25),
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {}},
    feature([square(1030, 20, 6)], "red"),
]


@pytest.fixture
def index(tmp_path: Path) -> CellIndex:
    path = tmp_path / "cells.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": FEATURES}))
    known = {"green": "#00ff00", "red": "#ff0000"}
    write_index(tmp_path / "index", read_cells(path), known, (2000, 1600), (0.5, 0.25))
    return CellIndex(tmp_path / "index")


def test_points(index: CellIndex) -> None:
    assert index.classes == {"green": 0, "red": 3, "blue": 1}
    assert index.colours == ["#00ff00", "#ff0000", "#ff0010"]
    assert index.min_score == 0.25
    rows = list(struct.iter_unpack("<IffBBH", index.points_file.read_bytes()))
    # A square of 10 with a hole of 2: area 96, and the centre is moved away from the hole.
    x, y = (100 * 15 - 4 * 13) / 96, (100 * 1505 - 4 * 1503) / 96
    expected = [
        (1, 1022, 12, 1, 128, round(10 * (16 / np.pi) ** 0.5)),
        (2, x, y, 2, 255, round(10 * (96 / np.pi) ** 0.5)),
        (3, 1, 1, 1, 64, round(10 * (4 / np.pi) ** 0.5)),
        (4, 1033, 23, 1, 255, round(10 * (36 / np.pi) ** 0.5)),
    ]
    for row, wanted in zip(rows, expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-6)
    assert index.shown(0.5).tolist() == [True, True, False, True]
    assert index.shown(0).all()


def outlines(content: bytes) -> dict[int, tuple[int, int, list[list[float]]]]:
    found, place = {}, 0
    while place < len(content):
        number, label, score, corners = struct.unpack_from("<IBBH", content, place)
        values = struct.unpack_from(f"<{2 * corners}f", content, place + 8)
        found[number] = label, score, [list(p) for p in zip(values[::2], values[1::2], strict=True)]
        place += 8 + 8 * corners
    return found


def test_polygons_by_squares(index: CellIndex) -> None:
    # A cell belongs where its centre lies, even if its outline reaches beyond.
    assert outlines(index.polygons(0, 0)) == {
        1: (1, 128, square(1020, 10, 4)[:-1]),
        3: (1, 64, square(0, 0, 2)[:-1]),
    }
    assert outlines(index.polygons(1, 0)) == {4: (1, 255, square(1030, 20, 6)[:-1])}
    assert outlines(index.polygons(0, 1)) == {2: (2, 255, square(10, 1500, 10)[:-1])}
    assert index.polygons(1, 1) == b""
    for wrong in ((2, 0), (0, 2), (-1, 0)):
        with pytest.raises(RequestError, match="no square"):
            index.polygons(*wrong)
    assert [len(ring) for ring in index.outlines()] == [4, 4, 4, 4]
    assert index.outlines()[1].tolist() == square(10, 1500, 10)[:-1]


def test_details(index: CellIndex) -> None:
    assert index.details(1) == {
        "id": 1,
        "class": "red",
        "score": 0.5,
        "probabilities": {"red": 0.5, "blue": 0.4},
        "x_px": 1022,
        "y_px": 12,
        "area_px": 16,
        "area_um2": 2,
    }
    assert index.details(2)["solidity"] == 0.7
    assert index.details(4)["score"] == 1.0
    for wrong in (0, 5):
        with pytest.raises(RequestError, match="no cell"):
            index.details(wrong)


def test_no_cells(tmp_path: Path) -> None:
    write_index(tmp_path / "index", [], {"red": "#ff0000"}, (10, 10), None)
    index = CellIndex(tmp_path / "index")
    assert (len(index), index.min_score, index.classes) == (0, None, {"red": 0})
    assert index.polygons(0, 0) == b""
    assert index.outlines() == []
    assert index.points_file.read_bytes() == b""


def test_pieces_nuclei_and_other_containers(tmp_path: Path) -> None:
    small, large = square(0, 0, 1), square(5, 5, 3)
    content = [
        {"type": "MultiPolygon", "coordinates": [[small], [large]]},
        {
            **feature([square(0, 0, 9)], "cell"),
            "nucleusGeometry": {"type": "Polygon", "coordinates": [small]},
        },
        {"type": "Feature", "geometry": None, "properties": None},
        {"type": "FeatureCollection", "features": [feature([large], "x")]},
    ]
    path = tmp_path / "drawn.geojson.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(content).encode()))
    cells = list(read_cells(path))
    assert [cell.rings[0].tolist() for cell in cells] == [large[:-1], small[:-1], large[:-1]]
    assert [cell.name for cell in cells] == ["unclassified", "cell", "x"]
    path = tmp_path / "bad.geojson"
    path.write_text('{"kind": "Nothing"}')
    with pytest.raises(UserError, match=r"bad.geojson is not GeoJSON"):
        list(read_cells(path))


@given(
    st.lists(st.lists(st.integers(-50, 50), min_size=6, max_size=6), min_size=1, max_size=4),
    st.integers(0, 10_000),
)
def test_areas_and_centroids_are_shapelys(triangles: list[list[int]], far: int) -> None:
    rings = [np.array(corners, np.float64).reshape(3, 2) + far for corners in triangles]
    found = areas_and_centroids([DrawnCell("", None, [ring], {}) for ring in rings])
    for (area, x, y), ring in zip(found.tolist(), rings, strict=True):
        shape = shapely.Polygon(ring)
        assert area == pytest.approx(shape.area)
        centre = shape.centroid if shape.area else shapely.MultiPoint(ring).centroid
        assert (x, y) == pytest.approx((centre.x, centre.y), abs=1e-6)
