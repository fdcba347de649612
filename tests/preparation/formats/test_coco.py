"""COCO JSON with the habits of the tools that write it, against shapely and pycocotools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

HEIGHT, WIDTH = 40, 36
# No centre of a pixel lies on an edge.
HEXAGON = [3.2, 4, 12.1, 3, 15, 9.3, 12, 14.2, 4.3, 15, 2, 9]
PIECES = [[20, 20, 24, 20, 24, 23, 20, 23], [27, 20, 30, 20, 30, 25, 27, 25]]
BORDER = [-4, 30.2, 6.1, 29, 5, 44.3, -3, 43]


def coco(images: list[dict], annotations: list[dict], names: tuple[str, ...] = ("a", "b")) -> dict:
    categories = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def image(identity: object, file_name: str) -> dict:
    return {"id": identity, "file_name": file_name, "height": HEIGHT, "width": WIDTH}


def cell(segmentation: object, image_id: object = 1, category_id: object = 1, **more) -> dict:
    return {
        **{"id": 1, "image_id": image_id, "category_id": category_id, "bbox": [0, 0, 1, 1]},
        **{"segmentation": segmentation, "iscrowd": 0, **more},
    }


def compressed(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict:
    flat = np.asarray(mask, int).ravel(order="F")
    bounds = [0, *np.flatnonzero(np.diff(flat)) + 1, flat.size]
    counts = np.diff(bounds).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": [0, *counts] if flat[0] else counts}


def write(path: Path, content: object, *images: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    for name in images:
        place = path.parent / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (200, 150, 180)).save(place)
    return path


def polygons(forms, *flat: list[float]) -> frozenset:
    rings = [np.reshape(numbers, (-1, 2)).tolist() for numbers in flat]
    coordinates = [[[*ring, ring[0]]] for ring in rings]
    return forms.inside({"type": "MultiPolygon", "coordinates": coordinates}, HEIGHT, WIDTH)


def test_every_odd_cell(forms, prepared, tmp_path: Path) -> None:
    labels = forms.odd_labels(1, HEIGHT, WIDTH)
    masks = [labels == value for value in np.unique(labels[labels > 0])]
    rles = [(compressed, uncompressed)[n % 2](mask) for n, mask in enumerate(masks)]
    outlined = [[HEXAGON], PIECES, [BORDER], [[33, 1, 34, 1, 34, 2, 33, 2]]]
    source = write(
        tmp_path / "coco.json",
        coco(
            [image(1, "rle.png"), image(2, "outlines.png"), image(3, "none.png")],
            [
                *(cell(rle, 1) for rle in rles),
                *(cell(polygon, 2, 2) for polygon in outlined),
            ],
        ),
        "rle.png",
        "outlines.png",
        "none.png",
    )
    images = prepared("coco", source)
    assert images["rle"].cells == {
        ("a", forms.pixels_of(coco_mask.decode(compressed(mask)))) for mask in masks
    }
    assert len(masks) >= 7
    assert images["outlines"].cells == {("b", polygons(forms, *flat)) for flat in outlined}
    assert ("b", frozenset({(1, 33)})) in images["outlines"].cells
    assert images["none"].cells == set()


def test_polygons_are_near_those_of_pycocotools(forms, prepared, tmp_path: Path) -> None:
    """They differ by pixels whose centres lie near an edge."""
    source = write(tmp_path / "c.json", coco([image(1, "a.png")], [cell([HEXAGON])]), "a.png")
    ((_, found),) = prepared("coco", source)["a"].cells
    theirs = forms.pixels_of(coco_mask.decode(coco_mask.frPyObjects([HEXAGON], HEIGHT, WIDTH)[0]))
    assert len(found ^ theirs) <= 12
    assert len(found & theirs) / len(found | theirs) > 0.9


HABITS = {
    # CVAT: a folder of annotations; masks that were painted have iscrowd 1.
    "cvat": (
        "annotations/instances_default.json",
        image(1, "batch/a.png"),
        "../images/batch/a.png",
        {"iscrowd": 1, "attributes": {"occluded": False}},
    ),
    # Roboflow: beside the images, category 0, text for numbers in places.
    "roboflow": (
        "train/_annotations.coco.json",
        image(0, "a_png.rf.0f.png"),
        "a_png.rf.0f.png",
        {},
    ),
    # Windows, and the folder of the one who annotated.
    "absolute": ("c.json", image("x7", r"C:\Users\me\cells\a.png"), "data/cells/a.png", {}),
    "relative": ("sub/c.json", image(3.0, "./../images/a.png"), "../images/a.png", {}),
}


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("by_file", [True, False])
def test_habits_of_tools(forms, prepared, tmp_path: Path, habit: str, by_file: bool) -> None:
    name, record, place, more = HABITS[habit]
    mask = forms.odd_labels(2, HEIGHT, WIDTH) == 900
    annotation = cell(uncompressed(mask), str(record["id"]).removesuffix(".0"), "0", **more)
    content = coco([record], [annotation])
    content["categories"] = [{"id": 0, "name": " nucleus ", "supercategory": "none"}]
    path = write(tmp_path / "export" / name, content, place)
    (tmp_path / "export" / "run.json").write_text('{"model": "x"}')
    images = ReadOptions(images=tmp_path / "export") if by_file else ReadOptions()
    found = prepared("coco", path if by_file else tmp_path / "export", read=images)
    (image_name,) = found
    assert image_name == Path(place).stem
    assert found[image_name].cells == {("nucleus", forms.pixels_of(mask))}
    assert found[image_name].part == "train"


def test_parts_equal_names_and_groups(prepared, tmp_path: Path) -> None:
    root = tmp_path / "latest export"
    first = coco([image(1, "x/a.png"), image(2, "y/a.png")], [cell([HEXAGON], 1)])
    write(root / "train/_annotations.coco.json", first, "x/a.png", "y/a.png")
    crowd = cell(compressed(np.ones((HEIGHT, WIDTH))), iscrowd=1)
    other = coco([image(1, "b.png")], [crowd, cell([HEXAGON], 1, 2)])
    write(root / "test/_annotations.coco.json", other, "b.png")
    found = prepared("coco", root)
    assert {name: value.part for name, value in found.items()} == {
        **{"x_a": "train", "y_a": "train", "b": "test"}
    }
    assert {name: len(value.cells) for name, value in found.items()} == {"x_a": 1, "y_a": 0, "b": 2}
    assert {name for name, _ in found["b"].cells} == {"crowd", "b"}


FULL = [0, HEIGHT * WIDTH]
BAD = {
    "no list": ([], "it is no COCO JSON"),
    "no categories": ({"images": [], "annotations": []}, "'categories' is missing or no list"),
    "a record": (coco([7], []), "'images' is missing or no list of records"),
    "no file name": (coco([{"id": 1}], []), "image 1 has no 'id' or no 'file_name'"),
    "twice": (coco([image(1, "a.png"), image("1", "a.png")], []), "have the id 1"),
    "no such image": (
        coco([image(1, "a.png")], [cell([HEXAGON], 2)]),
        "annotation 1 has the image_id 2, which the file does not list",
    ),
    "no such class": (
        coco([image(1, "a.png")], [cell([HEXAGON], 1, None)]),
        "annotation 1 has the category_id None",
    ),
    "a box": (coco([image(1, "a.png")], [cell([])]), "it is a box without a segmentation"),
    "nothing": (coco([image(1, "a.png")], [cell(None)]), "it is a box without a segmentation"),
    "odd": (coco([image(1, "a.png")], [cell([[1, 2, 3]])]), "a polygon is no list of x, y"),
    "text": (coco([image(1, "a.png")], [cell([["x", "y"]])]), "annotation 1 has no mask"),
    "other size": (
        coco([image(1, "a.png")], [cell({"size": [WIDTH, HEIGHT], "counts": FULL})]),
        "its RLE is of the size",
    ),
    "too long": (
        coco([image(1, "a.png")], [cell({"size": [HEIGHT, WIDTH], "counts": [1, *FULL[1:]]})]),
        "its counts cover 1441 pixels, the image has 1440",
    ),
    "no counts": (coco([image(1, "a.png")], [cell({"size": [HEIGHT, WIDTH]})]), "no mask"),
    "negative": (
        coco([image(1, "a.png")], [cell({"size": [HEIGHT, WIDTH], "counts": [-1, 2]})]),
        "its counts are no numbers of pixels",
    ),
    "broken text": (
        coco([image(1, "a.png")], [cell({"size": [HEIGHT, WIDTH], "counts": "\x7f"})]),
        "annotation 1 has no mask",
    ),
    "no image": (coco([image(1, "b.png")], []), "its image 'b.png' is not in"),
    "its size": (
        coco([image(1, "a.png") | {"height": 41}], []),
        "it says that the image a is 41 × 36 pixels",
    ),
    "half a size": (coco([image(1, "a.png") | {"height": None}], []), "has no 'height'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_refused(refused, tmp_path: Path, kind: str) -> None:
    content, words = BAD[kind]
    path = write(tmp_path / "export" / "c.json", content, "a.png")
    (sentence,) = refused("coco", path)
    assert sentence.startswith(f"{path}: ")
    assert words in sentence


def test_every_bad_file_is_named(refused, tmp_path: Path) -> None:
    root = tmp_path / "export"
    write(root / "a.json", coco([image(1, "gone.png"), image(2, "lost.png")], []))
    cut = write(root / "b.json", coco([], []))
    cut.write_bytes(cut.read_bytes()[:-3])
    write(root / "c.json", coco([image(1, "c.png")], [cell([])]), "c.png")
    sentences = refused("coco", root)
    assert [Path(s.split(": ")[0]).name for s in sentences] == ["b.json", *["a.json"] * 2, "c.json"]


def test_a_folder_without_coco(refused, tmp_path: Path) -> None:
    write(tmp_path / "export" / "run.json", {"model": "x"})
    assert "holds no COCO JSON" in refused("coco", tmp_path / "export")[0]


def test_cells_that_have_no_pixel_count_for_nothing(tmp_path: Path) -> None:
    two_points = cell([[1, 1, 5, 5]])
    content = coco([image(1, "a.png")], [two_points, cell([HEXAGON])])
    path = write(tmp_path / "export" / "c.json", content, "a.png")
    assert convert_dataset(ConvertOptions("coco", path, tmp_path / "raw")).cells == {"a": 1}
