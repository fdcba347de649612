from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from shapely.geometry import shape

FIRST, LAST = "training_set_metastatic_roi_001", "training_set_primary_roi_103"


def feature(name: str, geometry: dict) -> dict:
    classification = {"name": name, "color": [200, 0, 0]}
    properties = {"objectType": "annotation", "classification": classification}
    return {"type": "Feature", "id": "a-1", "geometry": geometry, "properties": properties}


def polygon(*rings: list[list[float]]) -> dict:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]}


# No centre of a pixel lies on an edge.
HOLED = polygon(
    [[10, 8.2], [24.3, 8], [25, 22.1], [9, 21]], [[14, 12], [18, 12], [18, 16], [14, 16]]
)
PIECES = {
    "type": "MultiPolygon",
    "coordinates": [
        polygon([[30, 30], [34, 30], [34, 33], [30, 33]])["coordinates"],
        polygon([[36, 30], [39, 30], [39, 33], [36, 33]])["coordinates"],
    ],
}
BORDER = polygon([[-4, 35.2], [6.1, 34], [5, 47.3], [-3, 46]])
FEATURES = [
    feature("nuclei_tumor", HOLED),
    feature("nuclei_lymphocyte", PIECES),
    feature("nuclei_melanophage", BORDER),
    feature("nuclei_apoptosis", polygon([[40, 2], [41, 2], [41, 3], [40, 3]])),
]


def write_set(root: Path, forms) -> tuple[Path, Path]:
    images = root / "01_training_dataset_tif_ROIs"
    nuclei = root / "01_training_dataset_geojson_nuclei"
    tissue = root / "01_training_dataset_geojson_tissue"
    for folder in (images, nuclei, tissue):
        folder.mkdir(parents=True)
    centimetre = 10_000 / 0.2263
    for name, seed in ((f"{FIRST}.tif", 1), (f"{LAST}.tiff", 2), (f"{FIRST}_context.tif", 3)):
        rgba = forms.noise(seed, 45, 50, 4)
        rgba[..., 3] = 255
        tifffile.imwrite(
            images / name,
            rgba,
            photometric="rgb",
            extrasamples=["unassalpha"],
            resolution=(centimetre, centimetre),
            resolutionunit="CENTIMETER",
        )
    paths = nuclei / f"{FIRST}_nuclei.geojson", nuclei / f"{LAST}_nuclei.geojson"
    for path, features in zip(paths, (FEATURES, []), strict=True):
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (tissue / f"{FIRST}_tissue.geojson").write_text("{}")
    return paths


def test_every_nucleus(forms, prepared, tmp_path: Path) -> None:
    write_set(tmp_path, forms)
    images = prepared("puma", tmp_path)
    assert images.keys() == {FIRST, LAST}
    columns, rows = np.meshgrid(np.arange(50) + 0.5, np.arange(45) + 0.5)
    assert images[FIRST].cells == {
        (
            record["properties"]["classification"]["name"],
            forms.pixels_of(shapely.contains_xy(shape(record["geometry"]), columns, rows)),
        )
        for record in FEATURES
    }
    assert ("nuclei_apoptosis", frozenset({(2, 40)})) in images[FIRST].cells
    assert images[LAST].cells == set()
    assert images[FIRST].mpp == pytest.approx(0.2263, rel=1e-4)
    np.testing.assert_array_equal(images[FIRST].rgb, forms.noise(1, 45, 50, 4)[..., :3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable as GeoJSON"),
        ("[]", "not readable as GeoJSON"),
        ('{"features": 1}', "not readable as GeoJSON"),
        (json.dumps({"features": [FEATURES[0], feature("cell", HOLED)]}), "feature 2 is no"),
        (json.dumps({"features": [feature("nuclei_tumor", {"type": "Point"})]}), "feature 1 is no"),
        (json.dumps({"features": [feature("nuclei_tumor", polygon([["x", 1]]))]}), "feature 1"),
        (
            json.dumps({"features": [feature("nuclei_tumor", polygon([[float("nan"), 1]]))]}),
            "feature 1 is no outlined nucleus (a ring is no list of points)",
        ),
        (json.dumps({"features": [None]}), "feature 1"),
        (json.dumps({"features": [{"properties": None}]}), "feature 1"),
    ],
)
def test_bad_annotations(forms, refused, tmp_path: Path, text: str, words: str) -> None:
    first, last = write_set(tmp_path, forms)
    first.write_text(text)
    last.unlink()
    sentences = refused("puma", tmp_path)
    assert sentences[0].startswith(f"{first}: ")
    assert words in sentences[0]
    assert "its annotation is missing" in sentences[1]
