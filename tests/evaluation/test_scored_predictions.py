"""Predictions on ignored cells and of unannotated classes are neither right nor wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from cellseg_mm.analysis.errors.image_matches import match_images
from cellseg_mm.evaluation.annotations import index_annotations
from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.evaluation.cell_segmentation_metric import CellSegmentationMetric
from cellseg_mm.evaluation.scored_predictions import scored_predictions

SIZE = 40


def rle(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    bitmap = np.zeros((SIZE, SIZE), np.uint8, order="F")
    bitmap[y : y + height, x : x + width] = 1
    encoded = coco_mask.encode(bitmap)
    return {"size": [SIZE, SIZE], "counts": encoded["counts"].decode()}


def truth() -> dict[str, Any]:
    """A true cell of class a, and an ignored one that it overlaps; not annotated for c."""
    cell, ignored = rle(0, 0, 10, 10), rle(0, 8, 20, 10)
    records = [(1, 0, 1, cell), *((category, 1, 2, ignored) for category in (1, 2, 3))]
    return {
        "images": [{"id": 1, "height": SIZE, "width": SIZE, "annotated_category_ids": [1, 2]}],
        "categories": [{"id": n, "name": name} for n, name in enumerate("abc", start=1)],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": category,
                "iscrowd": crowd,
                "instance_id": instance,
                "segmentation": mask,
                "area": int(coco_mask.area(mask)),
                "bbox": coco_mask.toBbox(mask).tolist(),
            }
            for number, (category, crowd, instance, mask) in enumerate(records, start=1)
        ],
    }


PREDICTIONS = [
    (1, rle(0, 0, 10, 9)),  # the true cell
    (1, rle(10, 8, 10, 10)),  # on the ignored cell
    (2, rle(10, 13, 10, 10)),  # with half of it
    (3, rle(30, 30, 5, 5)),  # of a class that is not annotated
    (1, rle(0, 4, 10, 7)),  # 30 % on the ignored cell alone, 20 % on both: scored
]
SCORED = [True, False, True, False, True]


def test_by_hand() -> None:
    annotations = index_annotations(truth())
    assert [len(records) for records in annotations.ignored.values()] == [1]
    categories, masks = zip(*PREDICTIONS, strict=True)
    assert scored_predictions(annotations, 1, categories, masks).tolist() == SCORED
    assert scored_predictions(annotations, 1, [], []).tolist() == []


def sample(predictions: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    boxes = np.array([coco_mask.toBbox(mask) for _, mask in predictions]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return {
        "img_id": 1,
        "pred_instances": {
            "bboxes": torch.tensor(boxes),
            "scores": torch.linspace(0.6, 0.9, len(predictions)),
            "labels": torch.tensor([category - 1 for category, _ in predictions]),
            "masks": [mask for _, mask in predictions],
        },
    }


@pytest.mark.parametrize("kind", [CellCocoMetric, CellSegmentationMetric])
def test_metrics_are_those_without_such_predictions(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth()))

    def scores(chosen: list[int]) -> dict[str, float]:
        metric = kind(str(path))
        metric.dataset_meta = {"classes": ("a", "b", "c")}
        results = sample(PREDICTIONS)
        found = results["pred_instances"]
        results["pred_instances"] = {
            "masks": [found["masks"][i] for i in chosen],
            **{key: found[key][chosen] for key in ("bboxes", "scores", "labels")},
        }
        metric.process(None, [results])
        return metric.evaluate(1)

    np.testing.assert_equal(scores([0, 1, 3]), scores([0]))
    assert str(scores([0, 1, 2, 3, 4])) != str(scores([0]))  # the others count


def test_error_analysis_leaves_them_out() -> None:
    predictions = [
        {"image_id": 1, "category_id": c, "score": 0.9 - i / 10, "segmentation": mask, "bbox": []}
        for i, (c, mask) in enumerate(PREDICTIONS)
    ]
    (matches,) = match_images(index_annotations(truth()), predictions)
    assert matches.rows.tolist() == [0, 2, 4]
    assert len(matches.truth_areas) == 1
