"""What is scored and written, and where the scores go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from cellseg_mm.runs.checkpoint_weights import load_weights
from cellseg_mm.runs.evaluation import choose_evaluation, write_metrics
from cellseg_mm.runs.test_time_settings import read_test_time, use_test_time

IMAGE = {"id": 1, "file_name": "1.png", "height": 4, "width": 4}
CELL = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}


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
    config.custom_hooks = [{"type": "EMAHook"}, {"type": "OverlayHook"}]
    choose_evaluation(config, "val", ["coco"], None, None)
    assert (config.load_from, config.resume) == (None, False)
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
    write_metrics({"coco/segm_mAP": 0.5, "cell/bPQ": float("nan")}, str(tmp_path), "val")
    write_metrics({"coco/segm_mAP": 0.25}, str(tmp_path), "test")
    val = json.loads((tmp_path / "metrics.json").read_text())
    assert val == {"segm_mAP": 0.5, "cell/bPQ": None}
    assert json.loads((tmp_path / "metrics_test.json").read_text()) == {"segm_mAP": 0.25}


def model_config(**test_time: Any) -> Config:
    rcnn = {"mask_thr_binary": 0.4, "max_per_img": 300}
    model = {"type": "MaskRCNN", "test_cfg": {"rcnn": rcnn}}
    return Config({"model": model, "test_time": test_time})


def test_the_model_is_wrapped_only_if_something_is_on() -> None:
    assert use_test_time(Config({"model": {"type": "MaskRCNN"}})) == []
    config = model_config(views="identity", scales=[1.0], tile=0, overlap=64, checkpoints=[])
    assert use_test_time(config) == []
    assert config.model.type == "MaskRCNN"
    assert "keep_probabilities" not in config.model.test_cfg.rcnn

    config = model_config(views="flips", scales=1.5, tile=256, checkpoints="second.pth")
    assert use_test_time(config) == ["second.pth"]
    model = config.model
    assert model.type == "TestTimeModel"
    assert [detector.type for detector in model.detectors] == ["MaskRCNN", "MaskRCNN"]
    assert model.detectors[0].test_cfg.rcnn.keep_probabilities
    assert (model.views, model.scales, model.tile, model.overlap) == ("flips", [1.5], 256, 64)
    assert (model.mask_threshold, model.max_per_image) == (0.4, 300)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": "all"}, "views is 'all': choose one of identity, flips, dihedral"),
        ({"scales": []}, "scales is"),
        ({"scales": [1.0, 0]}, "scales is"),
        ({"scales": "big"}, "scales is"),
        ({"tile": 0.5}, "tile is 0.5"),
        ({"tile": -1}, "tile is -1"),
        ({"tile": 64}, "overlap is 64: .* below test_time.tile, 64"),
        ({"tile": 64, "overlap": 0}, "overlap is 0"),
        ({"merge_iou": 0}, "merge_iou is 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"test_time\.{message}"):
        read_test_time(settings)


def test_weights_are_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    saved = nn.Linear(3, 2)
    torch.save({"state_dict": saved.state_dict()}, file)
    model = nn.Linear(3, 2)
    load_weights(model, [str(file)])
    assert torch.equal(model.weight, saved.weight)
    with pytest.raises(ValueError, match=r"does not fit the config.*size mismatch for weight"):
        load_weights(nn.Linear(4, 2), [str(file)])
    with pytest.raises(ValueError, match=r"does not fit the config.*Missing key"):
        load_weights(nn.Sequential(nn.Linear(3, 2)), [str(file)])
    with pytest.raises(ValueError, match="does not exist: train first"):
        load_weights(model, [str(tmp_path / "none.pth")])


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], print])
def test_other_files_are_no_checkpoints(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load_weights(nn.Linear(3, 2), [str(tmp_path / "file.pth")])
