"""Weights of a model for other classes, taken as far as they fit."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from cellseg_mm.errors import UserError


class FittingWeightsHook(Hook):
    """Leaves the parameters whose sizes differ as they were initialised, and says so in one line.

    A training that begins with ``load_from`` a model for other classes makes the last layers of its
    heads anew. MMEngine does so, too, but for its moving average a second time, and at length.
    """

    priority = "VERY_HIGH"  # before the moving average takes the weights over

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the model's own tensors in the place of those that do not fit.

        Raises:
            UserError: No tensor fits.
        """
        if runner._resume or "state_dict" not in checkpoint:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        own, weights = model.state_dict(), checkpoint["state_dict"]
        known = [key for key in weights if key in own]
        other = [key for key in known if weights[key].shape != own[key].shape]
        if own and len(other) == len(known):
            raise UserError(
                f"No weight of load_from={runner._load_from} fits the network of the config: load "
                "a model of the same network."
            )
        if other:
            checkpoint["state_dict"] = {**weights, **{key: own[key].clone() for key in other}}
            layers = dict.fromkeys(key.rpartition(".")[0] for key in other)
            runner.logger.info(
                f"Made anew, as their sizes differ in {runner._load_from}: {', '.join(layers)}."
            )
