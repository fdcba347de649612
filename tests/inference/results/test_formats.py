"""All files of an image tell of the same cells."""

from __future__ import annotations

import csv
import gzip
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import roifile
import shapely
import tifffile
from PIL import Image

from cellseg_mm.inference.results import measurements, roi_file
from cellseg_mm.inference.results.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    result_cells,
    result_paths,
    write_results,
)
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.segmented_image import SegmentedImage
from cellseg_mm.models.test_time.tiles import FoundCells
from cellseg_mm.readers.open_image import open_image

HEIGHT, WIDTH = 700, 900


@pytest.fixture
def detections(random_cells: Callable) -> list:
    return random_cells(np.random.default_rng(5), 600, HEIGHT, WIDTH)


@pytest.fixture
def segmented(detections: list, make_image: Callable) -> SegmentedImage:
    image = make_image(HEIGHT, WIDTH)
    return SegmentedImage(image, result_cells([FoundCells(detections, HEIGHT)], image))


def test_every_file_holds_the_same_cells(segmented: SegmentedImage, tmp_path: Path) -> None:
    segmented.save(tmp_path, [*DEFAULT_FORMATS, "geojson.gz"])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [
            *("slide 1.geojson", "slide 1.geojson.gz", "slide 1_labels.ome.tif"),
            *("slide 1.csv", "slide 1.parquet", "slide 1_rois.zip", "slide 1_overlay.png"),
        ]
    )
    labels = tifffile.imread(tmp_path / "slide 1_labels.ome.tif")
    np.testing.assert_array_equal(labels, segmented.labels)
    numbers, areas = np.unique(labels[labels > 0], return_counts=True)
    count = len(segmented.cells)
    assert 200 < count < 600
    assert numbers.tolist() == list(range(1, count + 1))

    text = (tmp_path / "slide 1.geojson").read_bytes()
    assert gzip.decompress((tmp_path / "slide 1.geojson.gz").read_bytes()) == text
    features = json.loads(text)["features"]
    with (tmp_path / "slide 1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rois = roifile.roiread(tmp_path / "slide 1_rois.zip")
    assert len(features) == len(rows) == len(rois) == count
    for number, feature, row, roi in zip(numbers, features, rows, rois, strict=True):
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        assert shape.area == areas[number - 1] == int(row["area_px"])
        inside = shape.representative_point()
        assert labels[int(inside.y), int(inside.x)] == number
        measured = feature["properties"]["measurements"]
        assert measured["id"] == int(row["id"]) == number
        assert measured["area_um2"] == float(row["area_um2"])
        assert feature["properties"]["classification"]["name"] == row["class"]
        assert roi.name == f"{number:05d}_{row['class']}"
        outline = shapely.Polygon(roi.coordinates())
        assert outline.area == shapely.Polygon(shape.exterior).area
        assert outline.centroid.distance(shapely.Polygon(shape.exterior).centroid) < 1e-6
    table = pd.read_parquet(tmp_path / "slide 1.parquet")
    pd.testing.assert_frame_equal(table, segmented.table)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "slide 1.csv"), table)
    assert segmented.counts == table["class"].value_counts().to_dict()
    picture = np.asarray(Image.open(tmp_path / "slide 1_overlay.png"))
    np.testing.assert_array_equal(picture[:HEIGHT], segmented.overlay())


def test_outlines_of_5000_masks_read_back_are_the_label_maps(
    random_cells: Callable, cut_up: Callable, make_image: Callable, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    side = 3000
    image = make_image(side, side)
    batches = cut_up(rng, random_cells(rng, 5000, side, side), side, batches=20)
    counts = write_results(result_cells(batches, image), tmp_path, image, ["geojson", "labels"])
    features = json.loads((tmp_path / "slide 1.geojson").read_text())["features"]
    assert 3500 < len(features) == counts.by_class.total()
    shapes = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    assert shapely.is_valid(shapes).all()
    assert (shapely.get_num_geometries(shapes) == 1).all()
    labels = tifffile.imread(tmp_path / "slide 1_labels.ome.tif")
    np.testing.assert_array_equal(shapely.area(shapes), np.bincount(labels.ravel())[1:])
    y, x = (places[::41] for places in np.nonzero(labels))
    assert shapely.contains_xy(shapes[labels[y, x] - 1], x + 0.5, y + 0.5).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_gives_the_same_bytes_as_all_at_once(
    seed: int,
    segmented: SegmentedImage,
    detections: list,
    cut_up: Callable,
    make_image: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = make_image(HEIGHT, WIDTH)
    monkeypatch.setattr(measurements, "_MOST", 20)
    batches = cut_up(np.random.default_rng(seed), detections, HEIGHT)
    counts = write_results(result_cells(batches, image), tmp_path / "a", image, list(FORMATS))
    segmented.save(tmp_path / "b", list(FORMATS))
    assert counts.by_class == segmented.counts
    paths = result_paths(tmp_path / "a", "slide 1", list(FORMATS))
    assert sorted(paths) == sorted((tmp_path / "a").iterdir())
    for path in paths:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_features_are_what_qupath_opens(segmented: SegmentedImage) -> None:
    feature = segmented.geojson()["features"][7]
    assert feature["type"] == "Feature"
    assert str(uuid.UUID(feature["id"])) == feature["id"]
    assert set(feature["properties"]) == {"objectType", "classification", "measurements"}
    assert feature["properties"]["objectType"] == "detection"
    classification = feature["properties"]["classification"]
    assert classification["name"] in segmented.image.classes
    assert all(0 <= value <= 255 for value in classification["color"])
    assert all(
        type(value) in (int, float) for value in feature["properties"]["measurements"].values()
    )
    assert not any(name.endswith("_px") for name in feature["properties"]["measurements"])
    assert len({feature["id"] for feature in segmented.geojson()["features"]}) == len(
        segmented.cells
    )


def test_an_image_without_cells(make_image: Callable, tmp_path: Path) -> None:
    image = make_image(30, 50)
    counts = write_results(
        result_cells([FoundCells([], 30)], image), tmp_path, image, list(FORMATS)
    )
    assert counts.by_class == {"lymphocyte": 0, "epithelial": 0, "other": 0}
    assert not tifffile.imread(tmp_path / "slide 1_labels.ome.tif").any()
    assert json.loads((tmp_path / "slide 1.geojson").read_text())["features"] == []
    assert len(pd.read_csv(tmp_path / "slide 1.csv")) == 0
    assert list(pd.read_parquet(tmp_path / "slide 1.parquet")) == list(
        pd.read_csv(tmp_path / "slide 1.csv")
    )
    empty = SegmentedImage(image, [])
    assert len(empty.table) == 0
    assert empty.labels.shape == (30, 50)


def test_an_error_leaves_older_files_alone(
    make_image: Callable, tmp_path: Path, detections: list
) -> None:
    image = make_image(HEIGHT, WIDTH)
    (tmp_path / "slide 1.csv").write_text("older")

    def broken():  # type: ignore[no-untyped-def]
        yield FoundCells(detections, 300)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_results(result_cells(broken(), image), tmp_path, image, list(FORMATS))
    assert [path.name for path in tmp_path.iterdir()] == ["slide 1.csv"]
    assert (tmp_path / "slide 1.csv").read_text() == "older"


def test_an_image_in_memory_outlives_its_file(detections: list, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), compression="zlib")
    with open_image(path) as reader:
        image = ResultImage("slide", reader, ("lymphocyte", "epithelial", "other"))
        segmented = SegmentedImage(image, result_cells([FoundCells(detections, HEIGHT)], image))
    path.unlink()
    segmented.save(tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == len(DEFAULT_FORMATS)
    assert segmented.overlay().shape == pixels.shape
    assert segmented.table["area_um2"].isna().all()


def test_too_many_rois_are_a_warning(
    segmented: SegmentedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slide 1_rois.zip").write_text("of an earlier run")
    monkeypatch.setattr(roi_file, "MOST_CELLS", 10)
    segmented.save(tmp_path, ["roi", "csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["slide 1.csv"]
    (warning,) = segmented.image.warnings
    assert f"{len(segmented.cells)} cells, more than the 10" in warning


def test_unknown_formats_are_named(segmented: SegmentedImage, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="xml is not a format of results: choose from geojson, "):
        segmented.save(tmp_path, ["csv", "xml"])
    assert not list(tmp_path.iterdir())


def test_the_summary_counts_per_square_millimetre(segmented: SegmentedImage) -> None:
    whole = segmented.summary()
    area = HEIGHT * WIDTH * 0.0625e-6
    assert whole["analysed_mm2"] == pytest.approx(area, abs=1e-6)
    count = len(segmented.cells)
    assert whole["cells"] == count == sum(whole[name] for name in segmented.image.classes)
    assert whole["cells_per_mm2"] == pytest.approx(count / area, rel=1e-4)
    assert segmented.summary(HEIGHT * WIDTH / 2)["other_per_mm2"] == pytest.approx(
        2 * whole["other_per_mm2"], rel=1e-4
    )
