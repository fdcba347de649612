"""Weights of a model for other classes, taken as far as they fit."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from cellseg_mm.errors import UserError


class FittingWeightsHook(Hook):
    """Leaves the parameters that do not fit as they were initialised, and says so in one line.

    These are, in a training that begins with ``load_from`` a model for other classes, the last
    layers of its heads, whose sizes differ; and the layer that tells classes apart where there are
    as many, but others. MMEngine by itself takes the latter over, and reports the former at length.
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
        meta = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
        before, now = meta.get("classes"), (runner.cfg.get("metainfo") or {}).get("classes")
        same = before is None or now is None or list(before) == list(now)
        other = [
            key
            for key in known
            if weights[key].shape != own[key].shape or (not same and ".fc_cls." in key)
        ]
        if own and len(other) == len(known):
            raise UserError(
                f"No weight of load_from={runner._load_from} fits the network of the config: load "
                "a model of the same network."
            )
        if other:
            checkpoint["state_dict"] = {**weights, **{key: own[key].clone() for key in other}}
            layers = dict.fromkeys(key.rpartition(".")[0] for key in other)
            runner.logger.info(
                f"Made anew, as sizes or classes differ in {runner._load_from}: "
                f"{', '.join(layers)}."
            )
