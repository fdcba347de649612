"""Weights from checkpoints, every parameter of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

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
