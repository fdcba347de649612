"""QuPath's GeoJSON, in the forms of its versions, against shapely."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

HEIGHT, WIDTH = 46, 60


def polygon(*rings: list[list[float]]) -> dict:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]}


def square(x: float, y: float, side: float = 4) -> dict:
    return polygon([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])


def feature(geometry: dict | None, kind: str | None = "tumour", **properties: object) -> dict:
    properties.setdefault("objectType", "detection")
    if kind is not None:
        properties["classification"] = {"name": kind, "color": [200, 0, 0]}
    identity = "0a1b2c3d-0000-4000-8000-000000000001"
    return {"type": "Feature", "id": identity, "geometry": geometry, "properties": properties}


# No centre of a pixel lies on an edge.
HOLED = polygon(
    [[10, 8.2], [24.3, 8], [25, 22.1], [9, 21]], [[14, 12], [18, 12], [18, 16], [14, 16]]
)
PIECES = {
    "type": "MultiPolygon",
    "coordinates": [square(30, 30)["coordinates"], square(36, 30)["coordinates"]],
}
BORDER = polygon([[-4, 35.2], [6.1, 34], [5, 47.3], [-3, 46]])
ONE_PIXEL = square(40, 2, 1)
ODD = {"tumour": HOLED, "stroma": PIECES, "immune": BORDER, "other": ONE_PIXEL}


def write(folder: Path, content: object, name: str = "a.geojson", image: str = "a.png") -> Path:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (200, 150, 180)).save(folder / image)
    path = folder / name
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def collection(*features: dict) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def test_every_odd_cell(forms, prepared, tmp_path: Path) -> None:
    source = tmp_path / "export"
    features = [feature(geometry, name) for name, geometry in ODD.items()]
    write(source, collection(*features))
    write(source, collection(), "none.geojson", "none.png")
    write(source, feature(square(3, 3)), "one.geojson", "one.png")
    pixels = forms.noise(1, HEIGHT, WIDTH)
    centimetre = 10_000 / 0.2263
    tifffile.imwrite(
        source / "scaled.tif",
        pixels,
        photometric="rgb",
        resolution=(centimetre, centimetre),
        resolutionunit="CENTIMETER",
    )
    (source / "scaled.geojson").write_text(json.dumps(features[:1]))
    images = prepared("qupath", source)
    assert images.keys() == {"a", "none", "one", "scaled"}
    assert images["a"].cells == {
        (name, forms.inside(geometry, HEIGHT, WIDTH)) for name, geometry in ODD.items()
    }
    assert ("other", frozenset({(2, 40)})) in images["a"].cells
    assert images["none"].cells == set()
    assert images["one"].cells == {("tumour", forms.inside(square(3, 3), HEIGHT, WIDTH))}
    assert images["scaled"].mpp == pytest.approx(0.2263, rel=1e-4)
    np.testing.assert_array_equal(images["scaled"].rgb, pixels)


V02 = {
    "type": "Feature",
    "id": "PathDetectionObject",
    "geometry": square(3, 3),
    "properties": {
        "classification": {"name": "tumour", "colorRGB": -3670016},
        "isLocked": False,
        "measurements": [{"name": "Area", "value": 3.5}],
    },
}
V03 = feature(square(3, 3), object_type="detection", isLocked=True)
del V03["properties"]["objectType"]
CELL = feature(square(1, 1, 9), objectType="cell") | {"nucleusGeometry": square(3, 3)}
DERIVED = feature(square(3, 3), None, classification={"names": ["tumour", "Ki67"]})
ELLIPSE = feature(square(3, 3) | {"isEllipse": True, "plane": {"c": -1, "z": 0, "t": 0}})
PARENT = feature(None, objectType="root", childObjects=[feature(square(3, 3))])
PLAIN = {"type": "Feature", "geometry": square(3, 3), "properties": {"classification": "tumour"}}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (V02, "tumour"),
        ([V03], "tumour"),
        ([CELL], "tumour"),
        (collection(DERIVED), "tumour: Ki67"),
        (collection(ELLIPSE), "tumour"),
        ([PARENT], "tumour"),
        ([PLAIN], "tumour"),
        ([feature(square(3, 3), " tumour\n", objectType="annotation", name="nice")], "tumour"),
    ],
)
@pytest.mark.parametrize("file", ["a.geojson", "a.png.geojson.gz", "a.png - 1.geojson", "a.json"])
def test_forms_of_versions_and_names(
    forms, prepared, tmp_path: Path, content: object, name: str, file: str
) -> None:
    write(tmp_path / "export", content, file)
    images = prepared("qupath", tmp_path / "export")
    assert images["a"].cells == {(name, forms.inside(square(3, 3), HEIGHT, WIDTH))}


def test_regions_are_no_cells(forms, tmp_path: Path) -> None:
    region = polygon([[0, 0], [40, 0], [40, 40], [0, 40]])
    elsewhere = polygon([[45, 0], [58, 0], [58, 40], [45, 40]])
    cells = [square(3, 3), square(10, 3), square(30, 30)]
    drawn = square(29, 29, 6)  # over one other: a cell that was drawn anew
    source = write(
        tmp_path / "export",
        collection(
            feature(region, "tumour", objectType="annotation"),
            feature(elsewhere, "Region*", objectType="annotation"),
            *(feature(cell) for cell in cells),
            feature(drawn, "stroma", objectType="annotation"),
            feature(square(0, 0, 20), objectType="tile"),
            feature({"type": "Point", "coordinates": [3, 3]}, objectType="annotation"),
            feature({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}),
            feature(None),
            feature(square(50, 20), None),
        ),
    )
    done = convert_dataset(ConvertOptions("qupath", source, tmp_path / "raw"))
    assert done.cells == {"tumour": 3, "stroma": 1}
    assert done.left_out == {"": 1}
    assert done.passed_over == {
        **{"region": 2, "tile": 1, "point": 1, "line": 1, "object without outline": 1}
    }
    named = ReadOptions(default_class="other")
    done = convert_dataset(ConvertOptions("qupath", source, tmp_path / "raw2", read=named))
    assert done.cells == {"tumour": 3, "stroma": 1, "other": 1}


def test_images_in_another_folder(forms, prepared, tmp_path: Path) -> None:
    source, images = tmp_path / "export", tmp_path / "images"
    write(source, [feature(square(3, 3))])
    (source / "a.png").replace(source / "a_overlay.png")
    (images / "deeper").mkdir(parents=True)
    pixels = forms.noise(2, HEIGHT, WIDTH)
    cv2.imwrite(str(images / "deeper" / "a.bmp"), pixels[..., ::-1])
    found = prepared("qupath", source, read=ReadOptions(images=images))
    np.testing.assert_array_equal(found["a"].rgb, pixels)


def test_a_hundred_thousand_cells(tmp_path: Path) -> None:
    across, step = 317, 4
    rows, columns = np.divmod(np.arange(100_000), across)
    places = zip((step * columns).tolist(), (step * rows).tolist(), strict=True)
    source = tmp_path / "export"
    write(source, collection(*(feature(square(x, y, 3)) for x, y in places)))
    side = across * step
    Image.new("RGB", (side, side)).save(source / "a.png")
    convert_dataset(ConvertOptions("qupath", source, tmp_path / "raw"))
    labels = tifffile.imread(tmp_path / "raw/train/a/class1.tif")
    expected = np.zeros((across, across), int)
    expected[rows, columns] = np.arange(1, 100_001)
    expected = expected.repeat(step, axis=0).repeat(step, axis=1)
    expected[3::step] = expected[:, 3::step] = 0
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"type": "Topology"}, "it is no GeoJSON of features"),
        ({"type": "FeatureCollection", "features": 3}, "it is no GeoJSON of features"),
        ([feature(square(3, 3)), 5], "feature 2 is no outlined object"),
        ([feature(polygon([["x", 1]]))], "feature 1 is no outlined object"),
        ([feature(polygon([[float("nan"), 1]]))], "a ring is no list of points"),
        ([feature(polygon([[10**400, 1]]))], "feature 1 is no outlined object"),
        ([feature({"type": "Curve"})], "feature 1 is no outlined object"),
        ([feature(square(3, 3), None, classification=7)], "its classification is 7"),
        ([feature(square(3, 3), None)], "none of its 1 cells has a class"),
    ],
)
def test_what_is_refused(refused, tmp_path: Path, content: object, words: str) -> None:
    write(tmp_path / "export", content)
    (sentence,) = refused("qupath", tmp_path / "export")
    assert sentence.startswith(f"{tmp_path / 'export'}")
    assert words in sentence


def test_every_bad_file_is_named(refused_files, tmp_path: Path) -> None:
    source = tmp_path / "export"
    write(source, [feature(square(3, 3))], "good.geojson", "good.png")
    cut = write(source, collection(), "cut.geojson", "cut.png")
    cut.write_bytes(cut.read_bytes()[:-5])
    packed = write(source, collection(), "packed.geojson.gz", "packed.png")
    packed.write_bytes(packed.read_bytes()[:-5])
    bomb = source / "bomb.geojson.gz"
    bomb.write_bytes(gzip.compress(b" " * (9 << 20)))
    Image.new("RGB", (3, 3)).save(source / "bomb.png")
    write(source, collection(), "lost.geojson", "found.png")
    write(source, collection(), "two.geojson", "two.png")
    Image.new("RGB", (3, 3)).save(source / "two.bmp")
    (source / "two.geojson").rename(tmp_path / "two.geojson")
    (source / "deeper").mkdir()
    (tmp_path / "two.geojson").rename(source / "deeper" / "two.geojson")
    write(source, collection(), "broken.geojson", "broken.png")
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    words = {
        "cut.geojson": "not readable as JSON",
        "packed.geojson.gz": "not readable as JSON",
        "bomb.geojson.gz": "it is larger than",
        "lost.geojson": "its image 'lost' is not in",
        "two.geojson": "may be",
        "broken.png": "is damaged or cut short",
    }
    refused_files("qupath", source, words)


def test_a_folder_without_annotations(refused, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    assert refused("qupath", tmp_path / "export") == [
        f"{tmp_path / 'export'}: it holds no .geojson; export the objects of each image there."
    ]
    (missing,) = refused("qupath", tmp_path / "none.geojson")
    assert "does not exist" in missing
    (tmp_path / "project.qpproj").touch()
    (project,) = refused("qupath", tmp_path / "project.qpproj")
    assert "export each image's objects" in project
