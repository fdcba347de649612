"""Checkpoints that a crash cannot lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from torch.distributed.optim import ZeroRedundancyOptimizer

_VALIDATED = "validated_epoch"


@HOOKS.register_module()
class BestCheckpointHook(CheckpointHook):
    """``CheckpointHook`` that keeps the old best checkpoint until the new one is written.

    The stock hook deletes first and writes then. This one also

    - saves an epoch's checkpoint again after its validation, so that a resumed run knows what the
      hooks learned from it (early stopping's count, the best score);
    - makes up, when a run is resumed, for a validation that the interruption cut off; MMEngine by
      itself goes on with the next epoch;
    - collects the state of an optimizer that is spread over several processes;
    - removes files of its own work dir alone: a checkpoint holds absolute paths, so a copied work
      dir would take the best checkpoint from the original.

    Use with ``save_best`` a single key, ``max_keep_ckpts`` of 2 or more and
    ``backend_args=dict(backend="atomic")``.
    """

    priority = "LOWEST"  # after the hooks whose state it saves
    best_ckpt_path: str | None
    last_ckpt: str | None

    def before_train(self, runner: Any) -> None:
        """Set up, then catch up on the validation of the epoch that is resumed from."""
        info = runner.message_hub.runtime_info
        kept = [step for step in info.get("keep_ckpt_ids", []) if isinstance(step, int)]
        runner.message_hub.update_info("keep_ckpt_ids", kept)
        super().before_train(runner)
        if self.save_best and self.best_ckpt_path:
            own = Path(self.out_dir, Path(self.best_ckpt_path).name)
            self.best_ckpt_path = str(own) if own.is_file() else None
            runner.message_hub.update_info("best_ckpt", self.best_ckpt_path)
        loop = runner.train_loop
        if not runner._resume or runner.val_loop is None:
            return
        due = loop.epoch >= loop.val_begin and (
            loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs
        )
        if due and loop.epoch > runner.message_hub.runtime_info.get(_VALIDATED, 0):
            runner.logger.info(f"Epoch {loop.epoch} was saved, but not yet validated.")
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Save the best checkpoint if this is one, and the epoch's with the hooks' new state."""
        runner.message_hub.update_info(_VALIDATED, runner.epoch)
        # Without it, the stock hook would write the epoch's checkpoint too where this is the best.
        last, self.last_ckpt = self.last_ckpt, None
        super().after_val_epoch(runner, metrics)
        self.last_ckpt = last
        if last is not None and Path(last).name == self.filename_tmpl.format(runner.epoch):
            self._save_checkpoint_with_step(
                runner, runner.epoch, {"epoch": runner.epoch, "iter": runner.iter}
            )

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, int]) -> None:
        # Here, where all processes are: only the first one is let into the saving itself.
        optimizer = runner.optim_wrapper.optimizer
        if isinstance(optimizer, ZeroRedundancyOptimizer):
            optimizer.consolidate_state_dict()
        super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        old, self.best_ckpt_path = self.best_ckpt_path, None  # hide it from the stock deletion
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = old
        elif old is not None and old != self.best_ckpt_path and is_main_process():
            Path(old).unlink(missing_ok=True)
