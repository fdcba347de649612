"""The metric as MMEngine calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from pycocotools import mask as coco_mask

import cellseg_mm.evaluation.cell_segmentation_metric  # noqa: F401  (registers it)

CLASSES = ("lymphocyte", "epithelial")
SIZE = (20, 30)


def rle(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """A rectangle (top, left, height, width)."""
    bitmap = np.zeros(size, np.uint8, order="F")
    bitmap[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = 1
    return {"size": list(size), "counts": coco_mask.encode(bitmap)["counts"].decode()}


CELLS = {
    # image: (category id, mask). The category ids are not in the order of the classes, and the
    # first two cells overlap.
    1: [(5, (0, 0, 8, 8)), (9, (6, 6, 6, 6)), (5, (14, 20, 4, 4))],
    2: [(9, (2, 2, 5, 5))],
    3: [],
}
LABEL = {9: 0, 5: 1, 6: None}


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    path = tmp_path / "val.json"
    annotations = [
        {"image_id": image_id, "category_id": c, "segmentation": rle(box)}
        for image_id, cells in CELLS.items()
        for c, box in cells
    ]
    # A category that the dataset does not have.
    annotations.append({"image_id": 2, "category_id": 6, "segmentation": rle((10, 10, 5, 5))})
    for number, annotation in enumerate(annotations, start=1):
        annotation |= {"id": number, "bbox": [0, 0, 1, 1], "area": 1}  # not looked at
    data = {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in CELLS],
        "annotations": annotations,
        "categories": [
            {"id": 5, "name": "epithelial"},
            {"id": 6, "name": "ambiguous"},
            {"id": 9, "name": "lymphocyte"},
        ],
    }
    path.write_text(json.dumps(data))
    return path


def sample(
    image_id: int,
    found: list[tuple[int, tuple[int, int, int, int]]],
    scores: list[float] | None = None,
    size: tuple[int, int] = SIZE,
) -> dict[str, Any]:
    return {
        "img_id": image_id,
        "pred_instances": {
            "bboxes": torch.zeros(len(found), 4),
            "scores": torch.tensor(scores or [1.0] * len(found)),
            "labels": torch.tensor([LABEL[c] for c, _ in found], dtype=torch.int64),
            "masks": [rle(box, size) for _, box in found],
        },
    }


def evaluate(ann_file: Path, samples: list[dict[str, Any]], **arguments: Any) -> dict[str, float]:
    evaluator = Evaluator(
        {"type": "mmdet.CellSegmentationMetric", "ann_file": str(ann_file), **arguments}
    )
    evaluator.dataset_meta = {"classes": CLASSES}
    for one in samples:
        evaluator.process([one])
    return evaluator.evaluate(len(samples))


def test_truth_against_itself_is_exactly_one(ann_file: Path) -> None:
    metrics = evaluate(ann_file, [sample(i, cells) for i, cells in CELLS.items()])
    for key in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1", "R2", "threat_score_50"):
        assert metrics[f"cell/{key}"] == 1, key
    assert metrics["cell/truth_epithelial"] == metrics["cell/predicted_epithelial"] == 2
    assert metrics["cell/truth_lymphocyte"] == 2


def test_predictions_under_the_threshold_are_dropped(ann_file: Path) -> None:
    samples = [
        sample(1, CELLS[1], [0.9, 0.5, 0.49]),
        sample(2, CELLS[2]),
        sample(3, [(9, (0, 0, 3, 3))], [0.1]),
    ]
    metrics = evaluate(ann_file, samples)
    assert metrics["cell/recall"] == 3 / 4
    assert metrics["cell/precision"] == 1
    # Image 3 has neither truth nor sure predictions, so the mean is over two images. In image 1 the
    # score decides about the shared corner of 2 × 2: the large cell, of 60 pixels, got 4 more, the
    # small one, of 36, lost 4.
    assert metrics["cell/bPQ"] == pytest.approx(((60 / 64 + 32 / 36) / 2.5 + 1) / 2)
    everything = evaluate(ann_file, samples, score_thr=0.0)
    assert everything["cell/recall"] == 1
    assert everything["cell/precision"] == 4 / 5


def test_an_image_seen_twice_counts_once(ann_file: Path) -> None:
    samples = [sample(i, cells) for i, cells in CELLS.items()]
    wrong = sample(1, [])
    assert evaluate(ann_file, [*samples, wrong])["cell/bPQ"] == 1


def test_an_image_that_was_not_seen_counts_as_missed(ann_file: Path) -> None:
    metrics = evaluate(ann_file, [sample(1, CELLS[1])])
    assert metrics["cell/bPQ"] == 0.5
    assert metrics["cell/truth_lymphocyte"] == 2


def test_without_predictions_all_is_zero(ann_file: Path) -> None:
    metrics = evaluate(ann_file, [sample(i, []) for i in CELLS])
    for key in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1", "threat_score_50"):
        assert metrics[f"cell/{key}"] == 0, key


def test_without_truth_nothing_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "height": SIZE[0], "width": SIZE[1]}],
                "annotations": [],
                "categories": [{"id": 5, "name": "epithelial"}, {"id": 9, "name": "lymphocyte"}],
            }
        )
    )
    assert evaluate(path, [sample(1, CELLS[1])]) == {}


def test_disagreement_is_named(ann_file: Path) -> None:
    with pytest.raises(ValueError, match="image 8, which is not in"):
        evaluate(ann_file, [sample(8, [])])
    with pytest.raises(ValueError, match=r"Image 1: Mask 0 has the size \[30, 20\]"):
        evaluate(ann_file, [sample(1, [(5, (0, 0, 3, 3))], size=(30, 20))])
    with pytest.raises(ValueError, match="`score_thr` is 5"):
        evaluate(ann_file, [], score_thr=5)
    with pytest.raises(FileNotFoundError, match="does not exist: write"):
        evaluate(ann_file.with_name("none.json"), [])
