"""Checkpoints that a crash cannot lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class BestCheckpointHook(CheckpointHook):
    """``CheckpointHook`` that keeps the old best checkpoint until the new one is written.

    The stock hook deletes first and writes then. This one also saves the epoch's checkpoint again
    after each validation, so that a resumed run knows what the hooks learned from it (early
    stopping's count, the best score). Use with ``save_best`` a single key,
    ``max_keep_ckpts`` of 2 or more and ``backend_args=dict(backend="atomic")``.
    """

    best_ckpt_path: str | None

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Save the best checkpoint if this is one, and the epoch's with the hooks' new state."""
        super().after_val_epoch(runner, metrics)
        if self.last_ckpt is not None and runner._train_loop is not None:
            self._save_checkpoint_with_step(
                runner, runner.epoch, {"epoch": runner.epoch, "iter": runner.iter}
            )

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        old, self.best_ckpt_path = self.best_ckpt_path, None  # hide it from the stock deletion
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = old
        elif old is not None and old != self.best_ckpt_path and is_main_process():
            Path(old).unlink(missing_ok=True)
