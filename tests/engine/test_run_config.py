"""From a config file and the command line to the config of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cellseg_mm.engine.run_config import load_config, parse_options, use_mixed_precision


@pytest.fixture
def path(repository: Path) -> str:
    return str(repository / "configs" / "mask-rcnn_convnext-b_fpn_cell.py")


def test_data_root_reaches_data_sets_and_evaluators(path: str) -> None:
    config = load_config(path, None, ["data_root=elsewhere"])
    for part in ("train", "val", "test"):
        assert config[f"{part}_dataloader"].dataset.data_root == "elsewhere/"
    assert config.val_evaluator.ann_file == "elsewhere/annotations/val.json"
    assert config.test_evaluator.ann_file == "elsewhere/annotations/test.json"
    assert "data/cell" not in config.pretty_text


def test_max_epochs_reaches_the_schedule(path: str) -> None:
    config = load_config(path, None, ["max_epochs=7"])
    assert config.train_cfg.max_epochs == 7
    assert (config.param_scheduler[0].end, config.param_scheduler[0].T_max) == (7, 7)


def test_a_training_can_end_before_its_schedule(path: str) -> None:
    config = load_config(path, None, ["max_epochs=7", "train_cfg.max_epochs=3"])
    assert (config.train_cfg.max_epochs, config.param_scheduler[0].T_max) == (3, 7)


def test_classes_reach_data_sets_and_heads(path: str) -> None:
    config = load_config(path, None, ["metainfo.classes=tumour,stroma,TIL"])
    assert config.train_dataloader.dataset.metainfo.classes == ["tumour", "stroma", "TIL"]
    assert config.model.roi_head.bbox_head.num_classes == 3
    assert config.model.roi_head.mask_head.num_classes == 3


def test_work_dir_and_other_overrides(path: str) -> None:
    assert load_config(path, None, None).work_dir == "work_dirs/mask-rcnn_convnext-b_fpn_cell"
    config = load_config(path, "here", ["optim_wrapper.optimizer.lr=1e-4"])
    assert config.work_dir == "here"
    assert config.optim_wrapper.optimizer.lr == 1e-4


def test_options_are_parsed_as_mmengine_does() -> None:
    assert parse_options(["a=1", "b=x", "c=(1,2)", "d=[a,b]", "e=None", "f=u=v"]) == {
        "a": 1,
        "b": "x",
        "c": (1, 2),
        "d": ["a", "b"],
        "e": None,
        "f": "u=v",
    }
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_options(["lr"])


def test_a_missing_config_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.py does not exist"):
        load_config("nowhere.py", None, None)


@pytest.mark.parametrize(
    ("cuda", "bf16", "expected"),
    [
        (False, False, "Bf16OptimWrapper"),
        (True, True, "Bf16OptimWrapper"),
        (True, False, "AmpOptimWrapper"),
    ],
)
def test_mixed_precision_fits_the_device(
    path: str, monkeypatch: pytest.MonkeyPatch, cuda: bool, bf16: bool, expected: str
) -> None:
    config = load_config(path, None, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    use_mixed_precision(config)
    assert config.optim_wrapper.type == expected
    assert config.optim_wrapper.optimizer.lr == 3e-4
