"""On real images, every file of the results tells of the same cells."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import tifffile
from shapely.geometry import Polygon, shape

from cellseg_mm.cli.main import build_parser

FORMATS = ("geojson", "labels", "csv", "parquet")


def agreeing_cells(folder: Path, name: str) -> int:
    """Number of an image's cells, once all its files were found to agree on them."""
    labels = tifffile.imread(folder / f"{name}_labels.ome.tif")
    table = pd.read_csv(folder / f"{name}.csv")
    assert pyarrow.parquet.read_metadata(folder / f"{name}.parquet").num_rows == len(table)
    features = json.loads((folder / f"{name}.geojson").read_text(encoding="utf-8"))["features"]
    polygons = [shape(feature["geometry"]) for feature in features]
    assert all(type(polygon) is Polygon and polygon.is_valid for polygon in polygons)

    areas = np.bincount(labels.ravel())[1:]
    assert table["id"].tolist() == list(range(1, len(areas) + 1))
    assert [polygon.area for polygon in polygons] == areas.tolist()
    assert table["area_px"].tolist() == areas.tolist()
    names = [feature["properties"]["classification"]["name"] for feature in features]
    assert table["class"].tolist() == names
    # A polygon lies where the label map has its cell.
    rows, columns = np.indices(labels.shape, sparse=True)
    for place, sums in (("x", columns), ("y", rows)):
        moments = np.bincount(labels.ravel(), np.broadcast_to(sums, labels.shape).ravel())[1:]
        centroids = [getattr(polygon.centroid, place) - 0.5 for polygon in polygons]
        np.testing.assert_allclose(centroids, moments / areas, atol=1e-6)
    return len(areas)


def segmented(images: dict[str, Path], model: str, channel_order: str, folder: Path) -> int:
    """Segment images, under the names they are given; the number of all agreeing cells."""
    named = folder / "images"
    named.mkdir()
    for name, path in images.items():
        (named / f"{name}.tif").symlink_to(path)
    out = folder / "cells"
    options = ["--model", model, "--channel-order", channel_order, "--mpp", "0.25"]
    options += ["--min-score", "0.3", "--formats", *FORMATS, "--out", str(out)]
    args = build_parser().parse_args(["segment", str(named), *options])
    assert args.run(args) == 0
    assert {path.stem for path in out.glob("*.geojson")} == set(images)
    return sum(agreeing_cells(out, name) for name in images)


def images_of(data_set: Path) -> dict[str, Path]:
    """All images of a data set in the task's layout."""
    train = {path.parent.name: path for path in sorted(data_set.glob("train/*/image.tif"))}
    return train | {path.stem: path for path in sorted(data_set.glob("test_release/*.tif"))}


@pytest.mark.parametrize(
    ("name", "model", "channel_order", "images"),
    [
        ("nucls_cc0", "he-consep", "rgb", 15),
        ("monusac", "he-monusac", "bgr", 12),
        ("hw3_sample", "he-monusac", "bgr", 1),
        ("consep", "he-consep", "rgb", 1),
    ],
)
def test_files_agree(
    shared_data: Path, tmp_path: Path, name: str, model: str, channel_order: str, images: int
) -> None:
    chosen = dict(list(images_of(shared_data / name).items())[:images])
    assert len(chosen) == images
    assert segmented(chosen, model, channel_order, tmp_path) > 10 * images
