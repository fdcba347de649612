"""Configs of runs with several processes; tests/tools/test_distributed.py starts them."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from cellseg_mm.runs.process_group import prepare_for_launcher


def config() -> Config:
    return Config({"randomness": {"seed": 0}, "env_cfg": {"dist_cfg": {"backend": "nccl"}}})


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The backends that a process group was joined with, in a process of torchrun."""
    backends: list[str] = []
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(torch.distributed, "init_process_group", backends.append)
    return backends


def test_one_process_changes_nothing(joined: list[str]) -> None:
    alone = config()
    prepare_for_launcher(alone, "none")
    assert alone.to_dict() == {**config().to_dict(), "launcher": "none"}
    assert not joined


def test_without_torchrun_the_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="begin the command with torchrun"):
        prepare_for_launcher(config(), "pytorch")


@pytest.mark.parametrize("launcher", ["pytorch", "slurm"])
def test_with_gpus_mmengine_joins(
    launcher: str, joined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    several = config()
    prepare_for_launcher(several, launcher)
    assert several.launcher == launcher
    assert several.env_cfg.dist_cfg.backend == "nccl"
    assert several.randomness == {"seed": 0, "diff_rank_seed": True}
    assert "model_wrapper_cfg" not in several
    assert not joined


def test_without_a_gpu_processes_meet_over_gloo(
    joined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    several = config()
    prepare_for_launcher(several, "pytorch")
    assert joined == [several.env_cfg.dist_cfg.backend] == ["gloo"]
    assert several.model_wrapper_cfg.device_ids is None
    with pytest.raises(ValueError, match="let srun start torchrun"):
        prepare_for_launcher(config(), "slurm")
