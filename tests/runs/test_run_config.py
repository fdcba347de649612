"""From a config file and the command line to the config of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cellseg_mm.runs.run_config import (
    load_config,
    parse_options,
    train_without_validation,
    use_mixed_precision,
)


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


def test_one_class_is_not_taken_for_its_letters(path: str) -> None:
    config = load_config(path, None, ["metainfo.classes=cell"])
    assert config.train_dataloader.dataset.metainfo.classes == ("cell",)
    assert config.model.roi_head.bbox_head.num_classes == 1


def test_training_without_validation_images(path: str, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cell"}]}
    file = tmp_path / "annotations" / "val.json"
    file.write_text(json.dumps(truth))
    config = load_config(path, None, [f"data_root={tmp_path}"])
    assert train_without_validation(config)
    assert config.val_dataloader is config.val_evaluator is config.val_cfg is None
    assert config.default_hooks.checkpoint.save_best is None
    assert "ResumableEarlyStoppingHook" not in [hook.type for hook in config.custom_hooks]
    truth["images"] = [{"id": 1}]
    file.write_text(json.dumps(truth))
    assert not train_without_validation(load_config(path, None, [f"data_root={tmp_path}"]))


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


def test_a_file_that_is_no_config_is_a_sentence(tmp_path: Path) -> None:
    for name in ("notes.md", "broken.py"):
        (tmp_path / name).write_text("this is (not Python")
        with pytest.raises(ValueError, match=rf"{name} is not a config"):
            load_config(str(tmp_path / name), None, None)


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

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return bf16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    use_mixed_precision(config)
    assert config.optim_wrapper.type == expected
    assert config.optim_wrapper.optimizer.lr == 3e-4
