"""Random numbers of data loader workers."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cellseg_mm.datasets.worker_seeding import seed_worker


class Draws(Dataset):
    """Each sample is what the three generators give."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[int, int, int]:
        return (
            int(np.random.randint(1 << 30)),
            random.getrandbits(30),
            int(torch.randint(1 << 30, ())),
        )


def epochs(seed: int, persistent: bool) -> list[list[tuple[int, int, int]]]:
    torch.manual_seed(seed)
    loader = DataLoader(
        Draws(),
        num_workers=2,
        collate_fn=lambda batch: batch[0],
        worker_init_fn=seed_worker,
        persistent_workers=persistent,
    )
    return [list(loader) for _ in range(2)]


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_and_epochs_differ_and_a_run_repeats(persistent: bool) -> None:
    run = epochs(0, persistent)
    draws = [value for epoch in run for sample in epoch for value in sample]
    assert len(set(draws)) == 2 * 4 * 3
    assert epochs(0, persistent) == run
    assert epochs(1, persistent) != run


def test_processes_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    first = epochs(0, False)
    monkeypatch.setenv("RANK", "1")
    assert epochs(0, False) != first
