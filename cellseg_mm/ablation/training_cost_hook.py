"""What a training costs: time and memory, over all of its interrupted parts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.runs.peak_memory import peak_memory_bytes

_KEY = "training_cost"
COST_FILE = "training_cost.json"


@HOOKS.register_module()
class TrainingCostHook(Hook):
    """Write ``training_cost.json`` into the work dir.

    Its keys: ``seconds`` (wall time of the training epochs, without validation), ``epochs``,
    ``peak_bytes`` and ``memory`` ("GPU": most that torch held; "process": most resident memory of
    the training process, without its workers), ``device``. A resumed run goes on from the numbers
    of the checkpoint: epochs that were lost do not count.
    """

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def after_train_epoch(self, runner: Any) -> None:
        """Add the epoch, before the checkpoint hook saves."""
        cost = self._cost(runner)
        runner.message_hub.update_info(
            _KEY,
            {
                "seconds": cost["seconds"] + time.perf_counter() - self._start,
                "epochs": cost["epochs"] + 1,
                "peak_bytes": max(cost["peak_bytes"], peak_memory_bytes()),
            },
        )

    @master_only
    def after_train(self, runner: Any) -> None:
        """Write the file."""
        cost = self._cost(runner)
        gpu = torch.cuda.is_available()
        cost["peak_bytes"] = max(cost["peak_bytes"], peak_memory_bytes())
        cost["memory"] = "GPU" if gpu else "process"
        cost["device"] = torch.cuda.get_device_name() if gpu else "CPU"
        with atomic_write(Path(runner.work_dir, COST_FILE)) as unfinished:
            unfinished.write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def _cost(runner: Any) -> dict[str, Any]:
        nothing = {"seconds": 0.0, "epochs": 0, "peak_bytes": 0}
        return dict(runner.message_hub.runtime_info.get(_KEY, nothing))
