"""From a config file and the command line to the config of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cellseg_mm.errors import UserError
from cellseg_mm.runs.run_config import (
    load_config,
    train_without_validation,
    use_mixed_precision,
)


@pytest.fixture
def path(repository: Path) -> str:
    return str(repository / "configs" / "mask-rcnn_convnext-b_fpn_cell.py")


def test_training_without_validation_images(path: str, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cell"}]}
    file = tmp_path / "annotations" / "val.json"
    file.write_text(json.dumps(truth))
    config = load_config(path, None, [f"data_root={tmp_path}"])
    assert train_without_validation(config)
    assert config.val_dataloader is config.val_evaluator is config.val_cfg is None
    assert config.default_hooks.checkpoint.save_best is None
    assert "early_stopping" not in config.default_hooks
    options = [f"data_root={tmp_path}", "default_hooks.checkpoint=None"]
    assert train_without_validation(load_config(path, None, options))
    truth["images"] = [{"id": 1, "height": 8, "width": 8, "file_name": "a.png"}]
    file.write_text(json.dumps(truth))
    assert not train_without_validation(load_config(path, None, [f"data_root={tmp_path}"]))


def test_work_dir_and_other_overrides(path: str) -> None:
    assert load_config(path, None, None).work_dir == "work_dirs/mask-rcnn_convnext-b_fpn_cell"
    config = load_config(path, "here", ["optim_wrapper.optimizer.lr=1e-4"])
    assert config.work_dir == "here"
    assert config.optim_wrapper.optimizer.lr == 1e-4


def test_a_hook_that_a_leaf_sets_to_none_is_removed(path: str, tmp_path: Path) -> None:
    leaf = tmp_path / "leaf.py"
    leaf.write_text(f'_base_ = ["{path}"]\ndefault_hooks = dict(overlays=None, timer=None)\n')
    hooks = load_config(str(leaf), None, ["default_hooks.curves=None"]).default_hooks
    assert not {"overlays", "curves"} & set(hooks)
    assert hooks.timer is None  # one of MMEngine's own, whose absence would mean its default
    assert hooks.early_stopping.patience == 5


def test_a_file_that_is_no_config_is_a_sentence(tmp_path: Path) -> None:
    base = "_base_ = ['base.py']\n"
    (tmp_path / "base.py").write_text("x = [1]")
    for name, text in (
        ("notes.md", "this is (not Python"),
        ("broken.py", "this is (not Python"),
        ("misspelt.py", f"{base}y = _base_.z"),
        ("merged.py", f"{base}x = dict(a=1)"),
        ("twice.py", "_base_ = ['base.py', 'base.py']"),
    ):
        (tmp_path / name).write_text(text)
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


def test_a_file_that_is_no_config_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    file.write_text("model = dict(type='MaskRCNN')")
    with pytest.raises(UserError, match="no metainfo, train_dataloader"):
        load_config(str(file), None, None)
