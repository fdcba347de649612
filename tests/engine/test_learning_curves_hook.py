"""Learning curves of a real run and of its continuation."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import LoggerHook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import Runner, get_priority
from mmengine.runner import runner as runner_module
from torch import nn

from cellseg_mm.engine.hooks.learning_curves_hook import LearningCurvesHook
from cellseg_mm.visualization.learning_curves import read_scalars


class Line(BaseModel):
    """y = w · x, to be fitted to y = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, mode: str) -> Any:
        y = self.layer(x)
        return {"loss_mask": y.square().mean()} if mode == "loss" else [y]

    def train_step(self, data: torch.Tensor, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        return super().train_step({"x": data}, optim_wrapper)

    def val_step(self, data: torch.Tensor) -> Any:
        return self(data, "predict")


class Score(BaseMetric):
    """A fixed score."""

    default_prefix = "coco"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"segm_mAP": 0.25, "segm_mAP_50": 0.5, "segm_mAP_75": 0.375}


def train(work_dir: Path, epochs: int, resume: bool) -> None:
    data = {
        "dataset": list(torch.ones(8, 2)),
        "batch_size": 2,
        "collate_fn": {"type": "default_collate"},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=data,
        val_dataloader=data,
        val_evaluator=Evaluator(Score()),
        val_cfg={},
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}},
        custom_hooks=[LearningCurvesHook()],
        resume=resume,
        experiment_name=f"{work_dir.name}_{epochs}",
        log_level="ERROR",
    ).train()


def test_curves_span_a_run_and_its_continuation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The folder of a run is named by the second of its start.
    clock = iter(range(1_700_000_000, 1_800_000_000, 100))
    monkeypatch.setattr(runner_module, "time", SimpleNamespace(
        time=lambda: next(clock),
        strftime=runner_module.time.strftime,
        localtime=runner_module.time.localtime,
    ))  # fmt: skip
    train(tmp_path, epochs=2, resume=False)
    first = read_scalars(tmp_path)
    assert [r["step"] for r in first.training] == [2, 4, 6, 8]
    (tmp_path / "curves.png").unlink()

    train(tmp_path, epochs=3, resume=True)
    history = read_scalars(tmp_path)
    epochs, losses = history.training_curve("loss_mask")
    assert epochs.tolist() == [0.5, 1, 1.5, 2, 2.5, 3]
    assert (losses >= 0).all()
    assert history.training_curve("lr")[1].tolist() == [0.01] * 6
    epochs, scores = history.validation_curve("segm_mAP_75")
    assert epochs.tolist() == [1, 2, 3]
    assert scores.tolist() == [0.375] * 3

    assert cv2.imread(str(tmp_path / "curves.png")) is not None
    assert "best mAP: epoch 1" in (tmp_path / "curves.svg").read_text()


def test_a_failure_to_draw_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test_learning_curves_hook")
    runner = SimpleNamespace(work_dir=str(tmp_path), logger=logger)
    with caplog.at_level(logging.WARNING):
        LearningCurvesHook().after_train(runner)
    assert "LocalVisBackend" in caplog.text

    scalars = tmp_path / "20250101_000000" / "vis_data" / "scalars.json"
    scalars.parent.mkdir(parents=True)
    scalars.write_text('{"lr": 0.1, "loss": 1.0, "epoch": 1, "step": 10}\n')
    (tmp_path / "curves.png").mkdir()  # where the picture is to be
    with caplog.at_level(logging.WARNING):
        LearningCurvesHook().after_val_epoch(runner)
    assert "could not be drawn" in caplog.text
    assert not (tmp_path / "curves.svg").exists()


def test_is_registered_and_runs_after_the_logger() -> None:
    hook = HOOKS.build({"type": "LearningCurvesHook"})
    assert isinstance(hook, LearningCurvesHook)
    assert get_priority(hook.priority) > get_priority(LoggerHook.priority)
