"""What `cellseg segment` writes, as it is and corrected in QuPath, converted to training data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.cli.main import build_parser
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

FORMATS = ("geojson", "geojson.gz", "labels", "csv", "roi")


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with an image, its label map, outlines and table."""
    folder = tmp_path_factory.mktemp("segmented")
    with Image.open(repository / "docs/images/nucls.png") as image:
        image.convert("RGB").save(folder / "image.png")
    command = ["segment", str(folder / "image.png"), "--out", str(folder), "--formats", *FORMATS]
    args = build_parser().parse_args(command)
    assert args.run(args) == 0
    return folder


@pytest.fixture
def found(segmented: Path) -> tuple[np.ndarray, dict[int, str]]:
    """The label map that was written, and the class of each cell."""
    labels = tifffile.imread(segmented / "image_labels.ome.tif")
    with (segmented / "image.csv").open(encoding="utf-8") as file:
        classes = {int(row["id"]): row["class"] for row in csv.DictReader(file)}
    assert len(classes) > 10
    return labels, classes


@pytest.mark.parametrize("name", ["image.geojson", "image.geojson.gz"])
def test_outlines_as_they_are(forms, prepared, segmented: Path, found, name: str) -> None:
    labels, classes = found
    images = prepared("qupath", segmented / name)
    assert images["image"].cells == forms.cells_of(labels, classes.get)


def test_label_map_and_table_as_they_are(forms, prepared, segmented: Path, found) -> None:
    labels, classes = found
    read = ReadOptions(cell_classes=segmented)
    assert prepared("label-images", segmented, read=read)["image"].cells == forms.cells_of(
        labels, classes.get
    )


def test_rois_as_they_are(forms, prepared, segmented: Path, found) -> None:
    """A ROI is an outline without holes."""
    labels, classes = found
    cells = prepared("imagej", segmented)["image"].cells
    same = cells & forms.cells_of(labels, classes.get)
    assert len(cells) == len(classes)
    assert len(same) > 0.9 * len(classes)


def as_qupath_writes(feature: dict) -> dict:
    """Numbers with a point, an object's own properties, and measurements of QuPath's own."""
    rings = [[[float(x), float(y)] for x, y in ring] for ring in feature["geometry"]["coordinates"]]
    properties = feature["properties"]
    return {
        **{"type": "Feature", "id": feature["id"]},
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "detection",
            "classification": properties["classification"],
            "measurements": {**properties["measurements"], "Area µm^2": 12.0},
        },
    }


def test_the_round(forms, prepared, segmented: Path, found, tmp_path: Path) -> None:
    """A cell deleted, one of another class, one drawn anew, and a region around the rest."""
    labels, classes = found
    source = json.loads((segmented / "image.geojson").read_text(encoding="utf-8"))
    features = [as_qupath_writes(feature) for feature in source["features"]]
    features.pop(2)
    features[0]["properties"]["classification"] = {"name": "mitosis", "color": [255, 0, 0]}
    drawn = {
        "type": "Polygon",
        "coordinates": [[[30.2, 40.1], [41.7, 38.4], [44.2, 47.9], [33.3, 50.6], [30.2, 40.1]]],
    }
    annotation = {"objectType": "annotation", "classification": {"name": "epithelial"}}
    region = {"type": "Polygon", "coordinates": [[[0, 0], [256, 0], [256, 256], [0, 256], [0, 0]]]}
    old = features.pop(1)
    features += [
        {"type": "Feature", "id": old["id"], "geometry": drawn, "properties": annotation},
        {"type": "Feature", "id": "r", "geometry": region, "properties": annotation},
    ]
    path = tmp_path / "image.geojson"
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    images = prepared("qupath", path, read=ReadOptions(images=segmented))

    numbers = {
        forms.pixels_of(labels == number): number for number in np.unique(labels[labels > 0])
    }
    first, second, third = (
        numbers[forms.inside(feature["geometry"], *labels.shape)]
        for feature in source["features"][:3]
    )
    new = forms.inside(drawn, *labels.shape)
    expected = {
        ("mitosis" if number == first else classes[number], pixels)
        for pixels, number in numbers.items()
        if number not in (second, third)
    }
    # Of a pixel of two cells of a class, the later one in the file has it.
    expected = {
        (name, pixels - new if name == "epithelial" else pixels) for name, pixels in expected
    }
    assert images["image"].cells == {*expected, ("epithelial", new)}
