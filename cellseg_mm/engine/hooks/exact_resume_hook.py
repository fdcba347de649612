"""A training that gives the same weights whether or not it was interrupted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed

from cellseg_mm.errors import UserError


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make each epoch depend on seed, config and the epoch's number, not on what ran before.

    - MMEngine does not save the state of the random number generators, so a resumed run draws other
      augmentations and samples than one that was not interrupted. This hook seeds them anew before
      each epoch. Use it with ``train_dataloader.persistent_workers=False``: workers that outlive an
      epoch keep a state of their own. Transforms that remember earlier samples (``RareCellPaste``)
      start anew all the same.
    - MMEngine restores the schedule as it was, its end included, and the optimizer's settings. Here
      the config's hold: a resumed run with more epochs or another learning rate goes on where a run
      with these settings from the start would be, at the same epoch. A schedule that depends on
      scores (``ReduceOnPlateauLR``) is restored as it was.

    What is left are the differences between any two runs: on a CPU there are none, on a GPU those
    of kernels that add in no fixed order.
    """

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the config's schedule, at the epoch that was reached, in place of the saved one.

        Raises:
            ValueError: The config's optimizer has other groups of parameters.
        """
        schedulers = runner.param_schedulers
        if not runner._resume or "optimizer" not in checkpoint or not isinstance(schedulers, list):
            return
        if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
            return
        _step(schedulers, checkpoint["meta"]["epoch"], checkpoint["meta"]["iter"])
        saved = checkpoint["optimizer"]["param_groups"]
        own = runner.optim_wrapper.optimizer.param_groups
        if len(saved) != len(own):
            raise UserError(
                f"The optimizer of the config has {len(own)} groups of parameters, that of the "
                f"checkpoint {len(saved)}: resume with the config that the training began with."
            )
        changes = {}
        for old, new in zip(saved, own, strict=True):
            settings = {key: value for key, value in new.items() if key != "params"}
            changes.update(
                {k: f"{k} {old.get(k)} → {v}" for k, v in settings.items() if old.get(k) != v}
            )
            old.update(settings)
        checkpoint["param_schedulers"] = [scheduler.state_dict() for scheduler in schedulers]
        if changes:
            runner.logger.info(
                "Optimizer and schedule go on with the config's settings, which differ from the "
                f"checkpoint's: {', '.join(changes.values())}."
            )

    def before_train_epoch(self, runner: Any) -> None:
        """Seed the generators of Python, NumPy and torch."""
        sequence = np.random.SeedSequence([runner.seed, runner.epoch])
        set_random_seed(int(sequence.generate_state(1)[0]), runner.deterministic)


def _step(schedulers: list[Any], epochs: int, iterations: int) -> None:
    """Step schedulers as a training does; their values build on one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer has not stepped
        done = 0
        for epoch in range(1, epochs + 1):
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    continue
                for _ in range(done, iterations * epoch // epochs):
                    scheduler.step()
            done = iterations * epoch // epochs
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    scheduler.step()
