"""The prepared layout as a data set, and its loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

import cellseg_mm.register  # noqa: F401
from cellseg_mm.datasets import cell_dataset
from cellseg_mm.datasets.cell_dataset import CellDataset
from cellseg_mm.errors import UserError
from cellseg_mm.structures.planes import write_planes

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadCellLabels"},
    {"type": "PackDetInputs"},
]


def dataset(root: Path, ann_file: str = "annotations/train.json", **kwargs: Any) -> CellDataset:
    return CellDataset(ann_file, data_root=str(root), pipeline=PIPELINE, **kwargs)


def test_samples_equal_the_annotation_file(prepared_data: Path) -> None:
    cells = dataset(prepared_data)
    coco = COCO(prepared_data / "annotations" / "train.json")
    assert len(cells) == len(coco.imgs) == 6
    for sample in (cells[i] for i in range(len(cells))):
        truth = sample["data_samples"].gt_instances
        records = coco.loadAnns(coco.getAnnIds(imgIds=[sample["data_samples"].img_id]))
        assert len(truth) == len(records) > 0
        assert truth.labels.tolist() == [r["category_id"] - 1 for r in records]
        for mask, box, record in zip(
            truth.masks.to_ndarray(), truth.bboxes.tensor.tolist(), records, strict=True
        ):
            np.testing.assert_array_equal(mask, coco.annToMask(record))
            x, y, w, h = record["bbox"]
            assert box == [x, y, x + w, y + h]


@pytest.fixture
def handmade(tmp_path: Path) -> Path:
    """One image with two cells, one without any, one without truth."""
    for folder in ("images/train", "labels", "annotations"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b", "c"):
        cv2.imwrite(str(tmp_path / f"images/train/{name}.png"), np.zeros((6, 9, 3), np.uint8))
    planes = np.zeros((1, 6, 9), np.int32)
    planes[0, 1:3, 2:5] = 1
    planes[0, 5, 8] = 2
    write_planes(tmp_path / "labels/a.tif", planes)
    write_planes(tmp_path / "labels/b.tif", np.zeros((1, 6, 9), np.int32))
    images = [
        {"id": i, "file_name": f"train/{n}.png", "label_file": f"{n}.tif", "height": 6, "width": 9}
        for i, n in enumerate("abc", start=1)
    ]
    images[0]["patient"] = "P1"
    images[0]["annotated_category_ids"] = [1, 2]
    images[1]["annotated_category_ids"] = []
    del images[2]["label_file"]
    record = {"image_id": 1, "iscrowd": 0, "segmentation": {"size": [6, 9], "counts": ""}}
    annotations = [
        {"id": 1, "category_id": 2, "bbox": [2, 1, 3, 2], "area": 6, "instance_id": 1, **record},
        {"id": 2, "category_id": 1, "bbox": [8, 5, 1, 1], "area": 1, "instance_id": 2, **record},
    ]
    categories = [{"id": 1, "name": "tumour"}, {"id": 2, "name": "stroma"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations/train.json").write_text(json.dumps(content))
    return tmp_path


def test_classes_come_from_the_config_by_name(handmade: Path) -> None:
    cells = dataset(handmade, metainfo={"classes": ("stroma", "tumour")})
    assert cells[0]["data_samples"].gt_instances.labels.tolist() == [0, 1]
    only = dataset(handmade, metainfo={"classes": ("tumour",)})
    truth = only[0]["data_samples"].gt_instances
    assert truth.bboxes.tensor.tolist() == [[8, 5, 9, 6]]  # a cell of one pixel is kept
    assert truth.masks.to_ndarray().sum() == 1  # the other class is background
    assert only.get_cat_ids(0) == [0]
    assert cells.get_data_info(0)["patient"] == "P1"
    unannotated = [cells.get_data_info(index).get("unannotated") for index in range(3)]
    assert unannotated == [[], [0, 1], None]  # None: all classes are annotated


def test_cells_of_other_classes_are_counted(
    handmade: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(cell_dataset, "print_log", lambda text, *others: said.append(text))
    dataset(handmade, metainfo={"classes": ("stroma", "tumour")})
    assert not said
    dataset(handmade, metainfo={"classes": ("tumour",)})
    assert "count as background: 1 stroma." in said[0]


def test_an_image_without_cells_is_a_sample(handmade: Path) -> None:
    cells = dataset(handmade, metainfo={"classes": ("stroma", "tumour")})
    truth = cells[1]["data_samples"].gt_instances
    assert len(truth) == 0
    assert truth.masks.to_ndarray().shape == (0, 6, 9)


def test_errors_are_sentences(handmade: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.json has no category epithelial.*tumour, stroma"):
        dataset(handmade)
    with pytest.raises(FileNotFoundError, match=r"prepare\.py RAW --out DIR"):
        dataset(handmade, "annotations/missing.json")
    cells = dataset(handmade, metainfo={"classes": ("stroma", "tumour")})
    with pytest.raises(ValueError, match=r"c\.png has no label file"):
        cells[2]
    write_planes(handmade / "labels/a.tif", np.zeros((1, 6, 8), np.int32))
    with pytest.raises(ValueError, match=r"a\.tif is 6×8, but its image is 6×9"):
        cells[0]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
        '{"images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 4}], "categories": '
        '[{"id": 1, "name": "a"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, '
        '"bbox": [0, 0, 2, 2], "area": 4}]}',
    ],
    ids=["no JSON", "a list", "no sizes", "another tool's"],
)
def test_annotations_of_others_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(UserError, match=r"other\.json .*prepare"):
        dataset(tmp_path, "other.json", metainfo={"classes": ("a",)})


def test_a_damaged_image_is_named(handmade: Path) -> None:
    path = handmade / "images/train/a.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"train/a\.png is not an image that can be read"):
        dataset(handmade, metainfo={"classes": ("tumour",)})[0]


@pytest.mark.parametrize("test_mode", [False, True])
def test_an_image_of_another_size_is_named(handmade: Path, test_mode: bool) -> None:
    cv2.imwrite(str(handmade / "images/train/a.png"), np.zeros((9, 6, 3), np.uint8))
    steps = [step for step in PIPELINE if not (test_mode and step["type"] == "LoadCellLabels")]
    cells = CellDataset(
        "annotations/train.json",
        data_root=str(handmade),
        metainfo={"classes": ("tumour",)},
        pipeline=steps,
        test_mode=test_mode,
    )
    with pytest.raises(UserError, match=r"train/a\.png is 9×6, .* of 6×9"):
        cells[0]


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("bbox", [1, 2, float("nan"), 1], "not four numbers"),
        ("bbox", [1, 2, 3], "not four numbers"),
        ("bbox", [[1, 2, 3, 4]], "not four numbers"),
        ("bbox", [1, 2, 3, 10**400], "not four numbers"),
        ("bbox", [-1, 0, 2, 2], "leaves its image of 9×6"),
        ("bbox", [8, 0, 2, 2], "leaves its image of 9×6"),
        ("instance_id", "1", "not a whole number"),
        ("instance_id", 10**30, "not a whole number"),
    ],
)
def test_records_of_others(handmade: Path, key: str, value: Any, complaint: str) -> None:
    path = handmade / "annotations/train.json"
    content = json.loads(path.read_text())
    content["annotations"][0][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=complaint):
        dataset(handmade, metainfo={"classes": ("tumour", "stroma")})


def test_no_images(handmade: Path) -> None:
    path = handmade / "annotations/train.json"
    content = json.loads(path.read_text()) | {"images": [], "annotations": []}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="lists no image"):
        dataset(handmade, metainfo={"classes": ("tumour",)})
