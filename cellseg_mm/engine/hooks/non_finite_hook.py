"""A training whose loss is not a number ends, or leaves the step out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cellseg_mm.errors import UserError

_SKIPPED = "skipped_steps"


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Keep NaN and infinity out of the weights.

    A step whose gradients are not all finite is left out before the optimizer takes it, by all
    processes alike. Then the training ends with a sentence, unless such steps are allowed for. No
    checkpoint with weights that are not finite is written.

    With float16, loss scaling leaves out steps of its own accord, which are not counted; a loss
    that is not finite is.

    Args:
        max_skipped: How many steps of a whole training may be left out; 0 ends it at the first.

    Raises:
        ValueError: ``max_skipped`` is negative.
    """

    priority = "VERY_LOW"  # after the logger, which shows the loss; before checkpoints

    def __init__(self, max_skipped: int = 0) -> None:
        if max_skipped < 0:
            raise UserError(f"max_skipped={max_skipped} of NonFiniteHook must be 0 or more.")
        self.max_skipped = max_skipped
        self._left_out = False

    def before_train(self, runner: Any) -> None:
        """Look at the gradients right before each step of the optimizer."""
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._check_gradients)

    def _check_gradients(self, optimizer: Any, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients and not torch.nn.utils.get_total_norm(gradients).isfinite():
            # An optimizer passes over parameters without gradient, its moments included.
            optimizer.zero_grad(set_to_none=True)
            self._left_out = True

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count a step that is not finite.

        Raises:
            ValueError: There were more of them than are allowed for.
        """
        loss = (outputs or {}).get("loss", torch.zeros(()))
        if not self._left_out and bool(torch.isfinite(loss).all()):
            return
        self._left_out = False
        skipped = runner.message_hub.runtime_info.get(_SKIPPED, 0) + 1
        runner.message_hub.update_info(_SKIPPED, skipped)
        where = f"iteration {runner.iter + 1} (epoch {runner.epoch + 1})"
        rate = runner.optim_wrapper.optimizer.param_groups[-1]["lr"]
        if skipped > self.max_skipped:
            raise UserError(
                f"The loss is {float(loss):g} in {where} at a learning rate of {rate:g}, or its "
                f"gradients are not finite: lower optim_wrapper.optimizer.lr, or allow for a few "
                f"such steps with default_hooks.non_finite.max_skipped. {_last(runner)}"
            )
        runner.logger.warning(
            f"The step of {where} is not finite and left out ({skipped} of {self.max_skipped})."
        )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that are not finite; normalisation layers, too, learn from each batch.

        Raises:
            ValueError: There are some.
        """
        for key in ("state_dict", "ema_state_dict"):
            for name, value in checkpoint.get(key, {}).items():
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    raise UserError(
                        f"{name} is not finite after epoch {checkpoint['meta']['epoch']}: lower "
                        f"optim_wrapper.optimizer.lr. {_last(runner)}"
                    )


def _last(runner: Any) -> str:
    """What is left of the training."""
    files = Path(runner.work_dir).glob("epoch_*.pth")
    last = max(files, key=lambda path: path.stat().st_mtime, default=None)
    return f"The last checkpoint is {last}." if last else "No checkpoint was written."
