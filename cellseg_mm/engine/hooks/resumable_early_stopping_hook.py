"""Early stopping that remembers."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS

_KEY = "early_stopping"


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """``EarlyStoppingHook`` whose count and best score are in the checkpoints.

    The stock hook starts from nothing when a run is resumed, and takes an equal score for a gain.
    Runs before the checkpoint hook, which saves what it learned.

    Args: those of ``EarlyStoppingHook``.
    """

    priority = "LOW"

    def before_run(self, runner: Any) -> None:
        """Nothing: the stock hook looks into the training loop, which builds it in tests too."""

    def before_train(self, runner: Any) -> None:
        """Take up the state of a resumed run, and stop at once if that run had stopped."""
        state = runner.message_hub.runtime_info.get(_KEY) if runner._resume else None
        if state is None:
            return
        self.wait_count, self.best_score = state["wait_count"], state["best_score"]
        if self.wait_count >= self.patience:
            runner.logger.info("The run that is resumed had stopped early: nothing is left to do.")
            runner.train_loop.stop_training = True

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Decide, then leave the state where checkpoints take it from.

        A score that is not a number (no truth among the validation images) decides nothing.
        """
        if not math.isnan(metrics.get(self.monitor, 0.0)):
            super().after_val_epoch(runner, metrics)
        state = {"wait_count": self.wait_count, "best_score": self.best_score}
        runner.message_hub.update_info(_KEY, state)

    def _check_stop_condition(self, current_score: float) -> tuple[bool, str]:
        if current_score == self.best_score + self.min_delta:
            worse = -math.inf if self.rule == "greater" else math.inf
            current_score = math.nextafter(current_score, worse)
        stop, reason = super()._check_stop_condition(current_score)
        return bool(stop), str(reason)
