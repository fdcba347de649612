"""AdamW over two processes against torch's own in one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from cellseg_mm.engine.sharded_adamw import ShardedAdamW

OPTIONS = {"lr": 0.1, "weight_decay": 0.05}


def new_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 1))


def groups(model: nn.Module) -> list[dict]:
    return [
        {"params": [p for p in model.parameters() if p.ndim == 2]},
        {"params": [p for p in model.parameters() if p.ndim == 1], "lr": 0.01, "weight_decay": 0.0},
    ]


def take_steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    inputs = torch.linspace(-1, 1, 18).reshape(3, 6)
    for _ in range(count):
        optimizer.zero_grad()
        model(inputs).square().sum().backward()
        optimizer.step()


def train_sharded(rank: int, folder: Path) -> None:
    address = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    model = new_model()
    optimizer = ShardedAdamW(groups(model), **OPTIONS)
    take_steps(model, optimizer, 3)
    optimizer.consolidate_state_dict()
    if rank == 0:
        saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(saved, folder / "checkpoint.pth")
    distributed.barrier()
    # Another start, as a run that is resumed.
    saved = torch.load(folder / "checkpoint.pth")
    model = new_model()
    model.load_state_dict(saved["model"])
    optimizer = ShardedAdamW(groups(model), **OPTIONS)
    optimizer.load_state_dict(saved["optimizer"])
    take_steps(model, optimizer, 2)
    torch.save(model.state_dict(), folder / f"rank{rank}.pth")
    distributed.destroy_process_group()


def test_its_steps_and_its_checkpoints_are_those_of_adamw(tmp_path: Path) -> None:
    multiprocessing.start_processes(train_sharded, (tmp_path,), nprocs=2, start_method="fork")
    model = new_model()
    optimizer = torch.optim.AdamW(groups(model), **OPTIONS)
    take_steps(model, optimizer, 3)
    saved = torch.load(tmp_path / "checkpoint.pth")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, saved["model"][name])
    assert saved["optimizer"]["state"].keys() == optimizer.state_dict()["state"].keys()
    optimizer.load_state_dict(saved["optimizer"])  # one process goes on with plain AdamW
    take_steps(model, optimizer, 2)
    for rank in (0, 1):
        resumed = torch.load(tmp_path / f"rank{rank}.pth")
        assert all(torch.equal(weight, resumed[k]) for k, weight in model.state_dict().items())


def test_one_process_is_told_to_use_adamw() -> None:
    with pytest.raises(ValueError, match=r"optim_wrapper\.optimizer\.type=AdamW"):
        ShardedAdamW(new_model().parameters(), **OPTIONS)
