"""Parts that a config names wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import DataLoader

import cellseg_mm.register  # noqa: F401
from cellseg_mm.errors import UserError
from cellseg_mm.runs.quiet_runner import QuietRunner


class ToyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.layer(inputs).mean()}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"model": {"type": "NoSuchModel"}}, "config's model cannot be used .*NoSuchModel"),
        ({"optim_wrapper": {"optimizer": {"type": "AdamW", "lr": -1}}}, "optim wrapper .*rate: -1"),
        ({"default_hooks": {"logger": {"type": "LoggerHook", "interval": 0}}}, "hooks .*interval"),
        ({"randomness": {"seed": -1}}, "randomness .*Seed must be"),
        ({"log_level": "LOUD"}, "logger .*LOUD"),
        ({"visualizer": {"type": "Visualizer", "wrong": 1}}, "visualizer .*wrong"),
        ({"train_dataloader": {"dataset": {"type": "NoSuchSet"}}}, "train loop .*NoSuchSet"),
    ],
)
def test_one_sentence(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    options: dict[str, Any] = {
        "model": ToyModel(),
        "work_dir": str(tmp_path),
        "train_dataloader": DataLoader([{"inputs": torch.ones(1)}], batch_size=1),
        "train_cfg": {"by_epoch": True, "max_epochs": 1},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.1}},
        "default_scope": "mmengine",
        "experiment_name": str(tmp_path).replace("/", "_"),
    }
    with pytest.raises(UserError, match=complaint):
        QuietRunner(**(options | changed)).train()
