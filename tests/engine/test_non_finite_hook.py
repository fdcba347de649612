"""NaN and infinity stay out of weights and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

import cellseg_mm.engine.hooks.non_finite_hook
from cellseg_mm.errors import UserError

NAN, INF = float("nan"), float("inf")


class ToyModel(BaseModel):
    """Loss = weight × input, so that inputs that are not finite give such losses and gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("mean", torch.tensor(0.0))

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        if inputs.item() == 7:  # as a normalisation layer learns from a bad batch
            self.mean.fill_(NAN)
        return {"loss": (self.weight * inputs).sum()}


def runner(work_dir: Path, inputs: list[float], epochs: int = 1, max_skipped: int = 0) -> Runner:
    return Runner(
        model=ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader([{"inputs": torch.tensor(x)} for x in inputs], batch_size=1),
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.125}},
        default_hooks={"logger": None},
        custom_hooks=[{"type": "NonFiniteHook", "max_skipped": max_skipped}],
        default_scope="mmengine",
        experiment_name=f"{work_dir}".replace("/", "_"),
    )


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_training_ends_with_a_sentence_and_finite_weights(tmp_path: Path, value: float) -> None:
    run = runner(tmp_path, [2.0, value, 1.0])
    with pytest.raises(UserError, match=r"in iteration 2 \(epoch 1\) at a learning rate of 0.125"):
        run.train()
    assert run.model.weight.item() == 0.75  # 1 - 0.125 · 2: the first step alone
    assert not list(tmp_path.glob("*.pth"))


def test_the_last_finite_checkpoint_is_named_and_kept(tmp_path: Path) -> None:
    runner(tmp_path, [1.0]).train()
    run = runner(tmp_path, [NAN])
    with pytest.raises(UserError, match=r"The last checkpoint is .*epoch_1\.pth"):
        run.train()
    assert torch.load(tmp_path / "epoch_1.pth", weights_only=False)["state_dict"]["weight"] == 0.875


def test_some_steps_may_be_left_out(tmp_path: Path) -> None:
    run = runner(tmp_path, [2.0, NAN, 1.0], epochs=2, max_skipped=2)
    run.train()
    assert run.model.weight.item() == 1 - 0.125 * (2 + 1) * 2
    assert run.message_hub.get_info("skipped_steps") == 2
    with pytest.raises(UserError, match="in iteration 5"):
        runner(tmp_path / "one", [2.0, NAN, 1.0], epochs=2, max_skipped=1).train()


def test_gradients_alone_are_enough(tmp_path: Path) -> None:
    """A loss of 0 whose gradient is infinite."""
    run = runner(tmp_path, [1.0])
    run.model.forward = lambda inputs, mode: {"loss": (run.model.weight - 1).sqrt()}  # type: ignore
    with pytest.raises(UserError, match="gradients are not finite"):
        run.train()
    assert run.model.weight.item() == 1.0


def test_other_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run = runner(tmp_path, [7.0])
    with pytest.raises(UserError, match="mean is not finite after epoch 1"):
        run.train()
    assert not list(tmp_path.glob("*.pth"))


def test_a_negative_number_of_steps() -> None:
    with pytest.raises(UserError, match="max_skipped=-1"):
        cellseg_mm.engine.hooks.non_finite_hook.NonFiniteHook(-1)
