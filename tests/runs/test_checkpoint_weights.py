"""Weights from checkpoints, every parameter of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cellseg_mm.errors import UserError
from cellseg_mm.models.test_time.test_time_model import TestTimeModel
from cellseg_mm.runs.checkpoint_weights import load_weights


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


def save(file: Path, classes: Any) -> str:
    meta = {"dataset_meta": {"classes": classes}} if classes else {}
    torch.save({"state_dict": nn.Linear(3, 2).state_dict(), "meta": meta}, file)
    return str(file)


def test_a_checkpoint_knows_its_classes(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    file = save(tmp_path / "model.pth", ["tumour", "other"])
    assert load_weights(model, [file]) == ("tumour", "other")
    assert load_weights(model, [file], ["tumour", "other"]) == ("tumour", "other")
    expected = r"model\.pth are tumour, other, but other, tumour are asked for: .*=tumour,other\."
    with pytest.raises(UserError, match=expected):
        load_weights(model, [file], ["other", "tumour"])
    older = save(tmp_path / "older.pth", None)
    assert load_weights(model, [older]) is None
    assert load_weights(model, [older], ["a", "b"]) == ("a", "b")


def test_checkpoints_that_are_averaged_agree_about_the_classes(tmp_path: Path) -> None:
    two = TestTimeModel.__new__(TestTimeModel)
    nn.Module.__init__(two)
    two.detectors = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    first, same = (save(tmp_path / f"{name}.pth", ["a", "b"]) for name in ("first", "same"))
    assert load_weights(two, [first, same]) == ("a", "b")
    with pytest.raises(UserError, match=r"swapped\.pth are b, a, but a, b are asked for"):
        load_weights(two, [first, save(tmp_path / "swapped.pth", ["b", "a"])])
