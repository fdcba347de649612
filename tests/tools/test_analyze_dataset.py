"""The command `tools/analyze_dataset.py`: its files, on a drawn data set."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.structures.planes import write_planes


def coco_rle(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {**rle, "counts": rle["counts"].decode()}


@pytest.fixture
def data(tmp_path):
    """One training image of 64 × 48: a 16 × 16 and an 8 × 8 cell that touch, and a lone 8 × 8."""
    root = tmp_path / "data"
    for folder in ("images/train", "labels", "annotations"):
        (root / folder).mkdir(parents=True)
    planes = np.zeros((1, 48, 64), np.int32)
    boxes = [(0, 0, 16, 16), (16, 0, 8, 8), (48, 32, 8, 8)]
    for number, (x, y, w, h) in enumerate(boxes, start=1):
        planes[0, y : y + h, x : x + w] = number
    write_planes(root / "labels/i.tif", planes)
    image = np.full((48, 64, 3), 200, np.uint8)
    image[planes[0] > 0] = (100, 50, 20)  # OpenCV writes blue first
    cv2.imwrite(str(root / "images/train/i.png"), image)
    names = ["epithelial", "lymphocyte", "neutrophil", "macrophage"]
    content = {
        "images": [
            {"id": 1, "file_name": "train/i.png", "label_file": "i.tif", "height": 48, "width": 64}
        ],
        "annotations": [
            {
                "id": n,
                "image_id": 1,
                "category_id": c,
                "bbox": list(box),
                "area": int((planes == n).sum()),
                "iscrowd": 0,
                "segmentation": coco_rle(planes[0] == n),
                "instance_id": n,
            }
            for n, (c, box) in enumerate(zip((1, 2, 2), boxes, strict=True), start=1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, start=1)],
    }
    (root / "annotations/train.json").write_text(json.dumps(content))
    return root


def test_report(run_python, data, tmp_path):
    out = tmp_path / "out"
    config = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
    result = run_python("tools/analyze_dataset.py", data, "--out", out, "--config", config)

    assert result.returncode == 0, result.stderr
    record = json.loads((out / "dataset.json").read_text())
    assert list(record["splits"]) == ["train"]
    split = record["splits"]["train"]
    assert split["tissue"] == [200, 200, 200]
    cells = split["classes"]["lymphocyte"]
    assert (cells["instances"], cells["images"], cells["touching"]) == (2, 1, 0.5)
    assert cells["colour"] == [20, 50, 100]
    assert cells["area"]["median"] == 64
    assert split["all_classes"]["touching"] == pytest.approx(2 / 3, abs=1e-4)
    assert split["classes"]["macrophage"]["area"] is None
    # Anchors of 16 px at multiples of 4 px: the first box fits exactly, an 8 px box lies inside of
    # one (64 / 256).
    configured = record["anchors"]["configured"]["classes"]
    assert configured["epithelial"]["mean_iou"] == 1
    assert configured["lymphocyte"]["mean_iou"] == 0.25
    assert configured["lymphocyte"]["recall_50"] == 0
    assert (out / "dataset.md").read_text().strip() in result.stdout
    assert cv2.imread(str(out / "dataset.png")) is not None


def test_another_folder_is_one_sentence(run_python, tmp_path):
    result = run_python("tools/analyze_dataset.py", tmp_path, "--out", tmp_path / "out")

    assert result.returncode == 2
    assert "has no annotations with images" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
