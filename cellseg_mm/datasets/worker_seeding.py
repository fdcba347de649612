"""Seeds of data loader workers."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed NumPy, ``random`` and torch of one worker, differently in each epoch and process.

    MMEngine's own function gives a worker the same seed whenever it starts, so without persistent
    workers every epoch repeats the augmentation of the first. This one starts from torch's base
    seed, which the run's seed determines and which is drawn anew whenever workers start.

    Args:
        worker_id: Index of the worker.
    """
    info = torch.utils.data.get_worker_info()
    base_seed = info.seed - worker_id if info is not None else torch.initial_seed()
    rank = int(os.environ.get("RANK", 0))  # set by torchrun, and by MMEngine under Slurm
    sequence = np.random.SeedSequence([base_seed, rank, worker_id])
    numpy_seed, python_seed, torch_seed = (int(n) for n in sequence.generate_state(3))
    np.random.seed(numpy_seed)  # noqa: NPY002  (the generator that stock transforms use)
    random.seed(python_seed)
    torch.manual_seed(torch_seed)
