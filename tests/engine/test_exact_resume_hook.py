"""A resumed training ends as one that was not interrupted; its schedule is the config's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

import cellseg_mm.engine.hooks.exact_resume_hook  # noqa: F401

WARM_UP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 3}


class Augmented(torch.utils.data.Dataset):
    """Samples that depend on all three random number generators of a worker."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": torch.rand(1) + float(np.random.rand()) + index}


class ToyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        return {"loss": (self.layer(inputs) * torch.rand(1)).square().mean()}


class Rates(Hook):
    """The learning rate of each iteration, before it; may end the training early."""

    def __init__(self, last_epoch: int | None) -> None:
        self.seen: list[float] = []
        self.last_epoch = last_epoch

    def before_train_iter(self, runner: Runner, **_: Any) -> None:
        self.seen.append(runner.optim_wrapper.get_lr()["lr"][0])

    def after_train_epoch(self, runner: Runner) -> None:
        runner.train_loop.stop_training = runner.epoch + 1 == self.last_epoch


def train(
    work_dir: Path,
    epochs: int,
    resume: bool = False,
    lr: float = 0.1,
    workers: int = 0,
    last_epoch: int | None = None,
) -> tuple[Runner, list[float]]:
    if not resume:
        torch.manual_seed(0)
    rates = Rates(last_epoch)
    cosine = {"type": "CosineAnnealingLR", "T_max": epochs, "by_epoch": True, "end": epochs}
    run = Runner(
        model=ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(Augmented(), batch_size=2, num_workers=workers),
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": lr}},
        param_scheduler=[WARM_UP, cosine],
        default_hooks={"logger": None},
        custom_hooks=[rates, {"type": "ExactResumeHook"}, {"type": "EMAHook", "momentum": 0.1}],
        resume=resume,
        randomness={"seed": 5},
        default_scope="mmengine",
        experiment_name=f"{work_dir}{epochs}{resume}{lr}".replace("/", "_"),
    )
    run.train()
    return run, rates.seen


@pytest.mark.parametrize("workers", [0, 1])
def test_weights_are_those_of_an_uninterrupted_training(tmp_path: Path, workers: int) -> None:
    whole, rates = train(tmp_path / "whole", 4, workers=workers)
    _, before = train(tmp_path / "parts", 4, workers=workers, last_epoch=2)
    again, after = train(tmp_path / "parts", 4, resume=True, workers=workers)
    assert (len(before), len(after)) == (4, 4)
    assert before + after == rates
    assert torch.equal(again.model.layer.weight, whole.model.layer.weight)
    files = [tmp_path / name / "epoch_4.pth" for name in ("whole", "parts")]
    first, second = (torch.load(file, weights_only=False) for file in files)
    assert first["state_dict"]["layer.weight"] != whole.model.layer.weight  # the moving average
    for key in ("state_dict", "ema_state_dict"):
        torch.testing.assert_close(first[key], second[key], rtol=0, atol=0)
    for key in ("optimizer", "param_schedulers"):
        assert first[key] == second[key]


def test_more_epochs_and_another_rate_are_what_a_run_from_the_start_would_have(
    tmp_path: Path,
) -> None:
    train(tmp_path / "run", 2)
    _, rates = train(tmp_path / "run", 4, resume=True, lr=0.2)
    # Two iterations an epoch; warm-up is over after three. By hand: 0.2 · (1 + cos(π e / 4)) / 2.
    expected = [0.2 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in (2, 2, 3, 3)]
    assert rates == pytest.approx(expected)
    _, uninterrupted = train(tmp_path / "whole", 4, lr=0.2)
    assert rates == uninterrupted[4:]
