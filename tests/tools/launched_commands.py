"""Run commands of the project one after the other in the processes that were started with this.

Argument: the commands as JSON, ``[["tools/train.py", "configs/…", …], …]``. Importing the project
anew for each would take most of a test's time. A config can add the hook ``RankRecorder``.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RankRecorder(Hook):
    """Write what each process saw and ended with to ``<work dir>/rank<number>.pth``."""

    priority = "LOWEST"

    def before_train(self, runner: Any) -> None:
        generator = np.random.RandomState()
        generator.set_state(np.random.get_state())
        self.record: dict[str, Any] = {"draw": generator.random_sample(), "images": []}

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any, outputs: Any) -> None:
        self.record["images"] += [sample.img_id for sample in data_batch["data_samples"]]

    def after_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        optimizer = runner.optim_wrapper.optimizer
        local = getattr(optimizer, "optim", optimizer)
        self.record |= {
            "weights": model.state_dict(),
            "moments": len(local.state),
            "parameters": len(list(model.parameters())),
            "epoch": runner.epoch,
            "best": runner.message_hub.get_info("best_ckpt"),
            "early_stopping": runner.message_hub.get_info("early_stopping"),
        }
        torch.save(self.record, Path(runner.work_dir, f"rank{get_rank()}.pth"))


if __name__ == "__main__":
    for command in json.loads(sys.argv[1]):
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
