"""A training that gives the same weights whether or not it was interrupted."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make each epoch depend on the run's seed and the epoch's number, not on what ran before.

    MMEngine does not save the state of the random number generators, so a resumed run draws other
    augmentations and samples than one that was not interrupted. This hook seeds them anew before
    each epoch. Use it with ``train_dataloader.persistent_workers=False``: workers that outlive an
    epoch keep a state of their own.

    Transforms that remember earlier samples (``RareCellPaste``) start anew all the same.

    What is left are the differences between any two runs: on a CPU there are none, on a GPU those
    of kernels that add in no fixed order.
    """

    def before_train_epoch(self, runner: Any) -> None:
        """Seed the generators of Python, NumPy and torch."""
        sequence = np.random.SeedSequence([runner.seed, runner.epoch])
        set_random_seed(int(sequence.generate_state(1)[0]), runner.deterministic)
