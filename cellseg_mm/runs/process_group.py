"""What several processes need beyond MMEngine's launchers."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config, ConfigDict
from torch import distributed

from cellseg_mm.errors import UserError


def prepare_for_launcher(config: Config, launcher: str) -> None:
    """Set a config up for the processes that ``torchrun`` or Slurm has started; in place.

    Each process gets random numbers of its own, else all would draw the same augmentations from
    ``num_workers=0`` and the same regions to train on; the samplers still share one seed.

    Without a GPU, the processes meet over gloo. They join here, since MMEngine's launchers choose
    a GPU before they do it, and leave the group alone where there is one.

    Args:
        config: Config of a run.
        launcher: "none", "pytorch" (``torchrun``) or "slurm".

    Raises:
        ValueError: ``torchrun`` did not start this process, or Slurm did on a machine without GPU.
    """
    config.launcher = launcher
    if launcher == "none":
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise UserError(
            "--launcher pytorch is for processes that torchrun starts: begin the command with "
            "torchrun instead of python."
        )
    config.setdefault("randomness", ConfigDict()).setdefault("diff_rank_seed", True)
    if torch.cuda.is_available():
        return
    if launcher == "slurm":
        raise UserError(
            "--launcher slurm is for GPUs, and this machine has none: let srun start torchrun, "
            "with --launcher pytorch."
        )
    config.env_cfg.dist_cfg.backend = "gloo"
    # MMEngine passes the number of a GPU, which a model on a CPU refuses.
    config.model_wrapper_cfg = ConfigDict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=config.get("find_unused_parameters", False),
    )
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")
