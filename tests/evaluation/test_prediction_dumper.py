"""Predictions written by a run and read back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from pycocotools import mask as coco_mask

import cellseg_mm.evaluation.prediction_dumper  # noqa: F401  (registers it)
from cellseg_mm.evaluation.predictions import load_predictions

SIZE = (12, 20)


def rle(left: int) -> dict[str, Any]:
    bitmap = np.zeros(SIZE, np.uint8, order="F")
    bitmap[2:6, left : left + 4] = 1
    return {"size": list(SIZE), "counts": coco_mask.encode(bitmap)["counts"].decode()}


def data_sample(image_id: int, lefts: list[int], labels: list[int]) -> dict[str, Any]:
    return {
        "img_id": image_id,
        "ori_shape": SIZE,
        "pred_instances": {
            "bboxes": torch.tensor([[x, 2.0, x + 4.0, 6.0] for x in lefts]).reshape(-1, 4),
            "scores": torch.linspace(0.9, 0.1, len(lefts)),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": [rle(x) for x in lefts],
        },
    }


def dump(path: Path, samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Write samples of two classes whose category ids are neither in their order nor from 1."""
    categories = [{"id": 4, "name": "epithelial"}, {"id": 7, "name": "lymphocyte"}]
    ann_file = path.parent.with_name(f"{path.parent.name}-val.json")
    ann_file.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    evaluator = Evaluator(
        {"type": "mmdet.PredictionDumper", "out_file": str(path), "ann_file": str(ann_file)}
    )
    evaluator.dataset_meta = {"classes": ("lymphocyte", "epithelial")}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    numbers = dump(path, [data_sample(3, [0, 8], [1, 0]), data_sample(5, [], [])])
    assert numbers == {"dump/images": 2, "dump/detections": 2}
    first, second = load_predictions(path)
    assert (first["image_id"], first["category_id"], first["bbox"]) == (3, 4, [0, 2, 4, 4])
    assert first["score"] == pytest.approx(0.9)
    assert (second["category_id"], second["segmentation"]) == (7, rle(8))
    assert os.listdir(tmp_path) == ["predictions.json"]


def test_an_image_seen_twice_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    sample = data_sample(3, [0], [0])
    assert dump(path, [sample, sample])["dump/images"] == 1
    assert len(load_predictions(path)) == 1


def test_without_predictions_the_list_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    dump(path, [data_sample(3, [], [])])
    assert load_predictions(path) == []


def test_the_target_is_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.json"):
        dump(tmp_path / "predictions.pkl", [])
    with pytest.raises(FileNotFoundError, match="does not exist: make it"):
        dump(tmp_path / "none" / "predictions.json", [])
