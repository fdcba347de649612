"""AdamW whose state is spread over the processes."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import OPTIMIZERS
from torch.distributed.optim import ZeroRedundancyOptimizer

from cellseg_mm.errors import UserError


@OPTIMIZERS.register_module()
class ShardedAdamW(ZeroRedundancyOptimizer):
    """AdamW that keeps the moments of each parameter on one process only (ZeRO, stage 1).

    Updates are those of ``torch.optim.AdamW``, and so is the state in a checkpoint: a run may go on
    with another number of processes, or with plain AdamW. Checkpoints must be written by
    ``BestCheckpointHook``, which collects the state first. MMEngine's own
    ``ZeroRedundancyOptimizer`` collects it while only the first process is saving, and waits for
    the others forever.

    See Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    2020.

    Args:
        params: Parameters or groups of them.
        **options: Those of ``torch.optim.AdamW``.

    Raises:
        ValueError: The run has a single process.
    """

    def __init__(self, params: Any, **options: Any) -> None:
        if not torch.distributed.is_initialized():
            raise UserError(
                "ShardedAdamW needs several processes: start with torchrun and --launcher, or set "
                "optim_wrapper.optimizer.type=AdamW."
            )
        super().__init__(params, torch.optim.AdamW, **options)
