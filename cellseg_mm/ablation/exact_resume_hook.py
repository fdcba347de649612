"""A training that gives the same weights whether or not it was interrupted."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed

_KEY = "validated_epoch"


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make each epoch depend on the run's seed and the epoch's number, not on what ran before.

    MMEngine does not save the state of the random number generators, so a resumed run draws other
    augmentations and samples than one that was not interrupted. This hook seeds them anew before
    each epoch. Use it with ``train_dataloader.persistent_workers=False``: workers that outlive an
    epoch keep a state of their own.

    MMEngine also skips the validation of an epoch when the run ends between saving the epoch's
    checkpoint and that validation; this hook makes up for it when the run is resumed. It relies on
    :class:`~cellseg_mm.engine.hooks.best_checkpoint_hook.BestCheckpointHook`, which saves once more
    after the validation.

    What is left are the differences between any two runs: on a CPU there are none, on a GPU those
    of kernels that add in no fixed order.
    """

    priority = "LOWEST"  # after the checkpoint hook has set itself up

    def before_train(self, runner: Any) -> None:
        """Catch up on the validation that an interrupted run left out."""
        loop = runner.train_loop
        epoch = loop.epoch
        due = epoch >= loop.val_begin and (
            epoch % loop.val_interval == 0 or epoch == loop.max_epochs
        )
        if due and epoch > runner.message_hub.runtime_info.get(_KEY, 0):
            runner.logger.info(f"Epoch {epoch} was saved, but not yet validated.")
            runner.val_loop.run()

    def before_train_epoch(self, runner: Any) -> None:
        """Seed the generators of Python, NumPy and torch."""
        sequence = np.random.SeedSequence([runner.seed, runner.epoch])
        set_random_seed(int(sequence.generate_state(1)[0]), runner.deterministic)

    def before_val_epoch(self, runner: Any) -> None:
        """Note the validation: checkpoints that are written after it will carry this."""
        runner.message_hub.update_info(_KEY, runner.epoch)
