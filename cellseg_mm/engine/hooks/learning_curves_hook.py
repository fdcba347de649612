"""Learning curves that are there while the training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cellseg_mm.visualization.learning_curves import draw_learning_curves, read_scalars


@HOOKS.register_module()
class LearningCurvesHook(Hook):
    """Draw ``curves.png`` and ``curves.svg`` into the work dir after each validation.

    They show learning rate, loss terms and mask AP of all runs in the work dir, so those of a
    resumed training go on. Needs the ``LocalVisBackend``, whose files it reads.
    """

    priority = "LOW"  # after the logger, which writes the last record

    @master_only
    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Draw with the scores of this epoch."""
        self._draw(runner)

    @master_only
    def after_train(self, runner: Any) -> None:
        """Draw once more, with what came after the last validation."""
        self._draw(runner)

    def _draw(self, runner: Any) -> None:
        try:
            history = read_scalars(runner.work_dir)
            if not history:
                runner.logger.warning(
                    f"No learning curves: {runner.work_dir} holds no logged scalars; add "
                    "dict(type='LocalVisBackend') to vis_backends."
                )
                return
            for name in ("curves.png", "curves.svg"):
                draw_learning_curves(history, Path(runner.work_dir, name))
        except Exception:  # a picture is never worth a training
            runner.logger.warning("The learning curves could not be drawn.", exc_info=True)
