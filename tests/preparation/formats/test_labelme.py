"""labelme's JSON, against shapely and by distance."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

HEIGHT, WIDTH = 40, 50
POLYGON = [[3.2, 4], [12.1, 3], [15, 9.3], [12, 14.2], [4.3, 15]]
BORDER = [[-4, 30.2], [6.1, 29], [5, 44.3], [-3, 43]]


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(points: list, kind: str | None = "polygon", label: str = "tumour", **more) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def content(*shapes: dict, **more: object) -> dict:
    return {
        **{"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png"},
        **{"imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH, **more},
    }


def write(folder: Path, record: object, name: str = "a", image: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    if image:
        Image.new("RGB", (WIDTH, HEIGHT), (200, 150, 180)).save(folder / f"{name}.png")
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record))
    return path


def area(forms, *rings: list[list[float]]) -> frozenset:
    coordinates = [[[*ring, ring[0]]] for ring in rings]
    return forms.inside({"type": "MultiPolygon", "coordinates": coordinates}, HEIGHT, WIDTH)


def test_every_kind_of_shape(forms, prepared, tmp_path: Path) -> None:
    mask = forms.noise(3, 6, 5)[..., 0] > 100
    first, second = [[30, 2], [34, 2], [34, 6], [30, 6]], [[37, 2], [39, 2], [39, 6], [37, 6]]
    turned = [[30, 20], [35.2, 23], [32, 28.1], [27, 25.2]]
    record = content(
        shape(POLYGON),
        shape(BORDER, None, "old"),
        shape([[20.4, 18.4], [16.6, 12.6]], "rectangle", "box"),
        shape([[30.25, 33.1], [33.5, 35]], "circle", "round"),
        shape(turned, "oriented_rectangle"),
        shape([[44, 30], [48, 35]], "mask", mask=png(np.where(mask, 255, 0).astype(np.uint8))),
        shape(first, group_id=4),
        shape(second, group_id=4),
        shape([[45, 4], [46, 4], [46, 5], [45, 5]], label="one pixel", group_id=4),
        shape([[1, 1]], "point"),
        shape([[1, 1], [2, 2]], "linestrip"),
    )
    source = tmp_path / "export"
    write(source, record)
    write(source, content(imagePath="none.png"), "none")
    write(source, content(shape(POLYGON), imagePath="one.png"), "one")
    images = prepared("labelme", source)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    radius = np.hypot(3.25, 1.9)
    placed = np.zeros((HEIGHT, WIDTH), bool)
    placed[30:36, 44:49] = mask
    assert images["a"].cells == {
        ("tumour", area(forms, POLYGON)),
        ("old", area(forms, BORDER)),
        ("box", frozenset((row, column) for row in range(13, 18) for column in range(17, 20))),
        ("round", forms.pixels_of(np.hypot(columns - 30.25, rows - 33.1) < radius)),
        ("tumour", area(forms, turned)),
        ("tumour", forms.pixels_of(placed)),
        ("tumour", area(forms, first, second)),
        ("one pixel", frozenset({(4, 45)})),
    }
    assert images["none"].cells == set()
    assert images["one"].cells == {("tumour", area(forms, POLYGON))}


def test_points_and_lines_are_counted(tmp_path: Path) -> None:
    record = content(shape(POLYGON), shape([[1, 1]], "point"), shape([[1, 1], [2, 2]], "line"))
    path = write(tmp_path / "export", record)
    done = convert_dataset(ConvertOptions("labelme", path, tmp_path / "raw"))
    assert done.passed_over == {"point": 1, "line": 1}
    assert done.cells == {"tumour": 1}


def test_pixels_in_the_file_and_elsewhere(forms, prepared, tmp_path: Path) -> None:
    source, images = tmp_path / "export", tmp_path / "images"
    embedded = forms.noise(1, HEIGHT, WIDTH)
    write(source, content(shape(POLYGON), imageData=png(embedded)), "inside", image=False)
    beside = forms.noise(2, HEIGHT, WIDTH)
    images.mkdir()
    Image.fromarray(beside).save(images / "b.png")
    write(source, content(shape(POLYGON), imagePath=r"..\b.png"), "outside", image=False)
    found = prepared("labelme", source, read=ReadOptions(images=images))
    np.testing.assert_array_equal(found["inside"].rgb, embedded)
    np.testing.assert_array_equal(found["outside"].rgb, beside)


SMALL = png(np.zeros((3, 3), np.uint8))
BAD = {
    "list": ([], "it has no list 'shapes'"),
    "shapes": ({"shapes": 4}, "it has no list 'shapes'"),
    "shape": (content(5), "shape 1 is no outlined cell"),
    "label": (content(shape(POLYGON), shape(POLYGON, label=3)), "shape 2 is no outlined cell"),
    "few": (content(shape([[1, 1], [2, 2]])), "it is a polygon of 2 points"),
    "kind": (content(shape(POLYGON, "cuboid")), "it is a cuboid of 5 points"),
    "flat": (content(shape([1, 2, 3])), "its points are no list of x, y"),
    "nan": (content(shape([[float("nan"), 1]] * 3)), "its points are no list of x, y"),
    "round": (content(shape([[0, 0], [1.7e308, 1.7e308]], "circle")), "its circle is larger"),
    "large": (content(shape([[10**400, 1]] * 3)), "shape 1 is no outlined cell"),
    "no mask": (content(shape([[1, 1], [3, 3]], "mask")), "shape 1 is no outlined cell"),
    "its size": (
        content(shape([[1, 1], [2, 3]], "mask", mask=SMALL)),
        "its mask has (3, 3) pixels",
    ),
    "no png": (content(shape([[1, 1], [3, 3]], "mask", mask="AAAA")), "shape 1 is no outlined"),
    "pieces": (
        content(
            shape(POLYGON, group_id=1), shape([[1, 1], [3, 3]], "mask", mask=SMALL, group_id=1)
        ),
        "only polygons are put together",
    ),
    "data": (content(shape(POLYGON), imageData="AAAA"), "its imageData is no image"),
    "number": (content(shape(POLYGON), imageData=7), "its imageData is no text"),
    "image": (content(shape(POLYGON), imagePath="b.png"), "its image 'b.png' is not in"),
    "size": (content(shape(POLYGON), imageHeight=41), "it says that the image a is 41 × 50"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_refused(refused, tmp_path: Path, kind: str) -> None:
    record, words = BAD[kind]
    path = write(tmp_path / "export", record)
    (sentence,) = refused("labelme", path)
    assert sentence.startswith(f"{path}: ")
    assert words in sentence


def test_every_bad_file_is_named(refused, tmp_path: Path) -> None:
    source = tmp_path / "export"
    for name, (record, _) in list(BAD.items())[2:]:
        write(source, record, name.replace(" ", "-"), image=False)
    write(source, {"images": []}, "other", image=False)
    write(source, content(shape(POLYGON)), "a")
    named = {Path(sentence.split(": ")[0]).stem for sentence in refused("labelme", source)}
    assert named == {name.replace(" ", "-") for name in list(BAD)[2:]}


def test_a_folder_without_annotations(refused, tmp_path: Path) -> None:
    write(tmp_path / "export", {"images": []})
    assert "holds no JSON of labelme" in refused("labelme", tmp_path / "export")[0]
