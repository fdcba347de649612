"""What is scored and written, and where the scores go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from cellseg_mm.runs.evaluation import choose_evaluation, write_metrics

IMAGE = {"id": 1, "file_name": "1.png", "height": 4, "width": 4}
CELL = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1}
CELL["segmentation"] = {"size": [4, 4], "counts": "01?"}


def config_of(folder: Path, split: str, **content: Any) -> Config:
    parts = {"images": [IMAGE], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (folder / f"{split}.json").write_text(json.dumps(parts | content))
    return Config(
        {
            f"{split}_dataloader": {
                "dataset": {"data_root": str(folder), "ann_file": f"{split}.json"}
            },
            f"{split}_evaluator": {"type": "Own"},
        }
    )


def types_of(config: Config) -> list[str]:
    return [evaluator["type"] for evaluator in config.test_evaluator]


def test_a_split_with_truth_is_scored_and_written(tmp_path: Path) -> None:
    config = config_of(tmp_path, "val", annotations=[CELL])
    assert choose_evaluation(config, "val", ["coco", "cell"], "out.json", None)
    assert types_of(config) == ["Own", "CellSegmentationMetric", "PredictionDumper"]
    assert {e.ann_file for e in config.test_evaluator[1:]} == {str(tmp_path / "val.json")}
    assert config.test_dataloader == config.val_dataloader


def test_what_is_for_training_only_is_left_out(tmp_path: Path) -> None:
    config = config_of(tmp_path, "val", annotations=[CELL])
    config.load_from = "other.pth"
    config.default_hooks = {"average": {"type": "EMAHook"}, "overlays": {"type": "OverlayHook"}}
    config.custom_hooks = [{"type": "EMAHook"}, {"type": "OverlayHook"}]  # as MMDetection's users
    choose_evaluation(config, "val", ["coco"], None, None)
    assert (config.load_from, config.resume) == (None, False)
    assert [*config.default_hooks] == ["overlays"]
    assert [hook.type for hook in config.custom_hooks] == ["OverlayHook"]


def test_a_split_without_truth_is_only_written(tmp_path: Path) -> None:
    config = config_of(tmp_path, "test")
    assert not choose_evaluation(config, "test", ["coco", "cell"], None, "out.zip")
    assert types_of(config) == ["SubmissionWriter"]
    assert config.test_evaluator[0].ann_file == str(tmp_path / "test.json")
    with pytest.raises(ValueError, match="no truth to score against: add --submission"):
        choose_evaluation(config, "test", ["coco"], None, None)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, "test", images=[])
    with pytest.raises(ValueError, match=r"test\.json lists no images to predict"):
        choose_evaluation(config, "test", ["coco"], None, "out.zip")


def test_scores_of_val_and_test_are_kept_apart(tmp_path: Path) -> None:
    run = {"checkpoint": "best.pth"}
    write_metrics({"coco/segm_mAP": 0.5, "cell/bPQ": float("nan")}, tmp_path, "val", run)
    write_metrics({"coco/segm_mAP": 0.25}, tmp_path, "test", {})
    val = json.loads((tmp_path / "metrics.json").read_text())
    assert val == {"segm_mAP": 0.5, "cell/bPQ": None, "run": run}
    test = json.loads((tmp_path / "metrics_test.json").read_text())
    assert test == {"segm_mAP": 0.25, "run": {}}
