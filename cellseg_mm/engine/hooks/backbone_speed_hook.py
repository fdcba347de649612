"""Memory layout and compilation of the backbone."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@HOOKS.register_module()
class BackboneSpeedHook(Hook):
    """Run a detector's backbone with other memory layout, or compiled; the numbers stay the same.

    Both switches are off by default, since what they bring depends on device and backbone: measure
    with ``benchmarks/training_switches.py``. Only the backbone is compiled: the rest of a detector
    has shapes that change with every image.

    Args:
        channels_last: Keep convolutions' weights and features with the channels innermost.
        compile: ``torch.compile`` the backbone. Needs a C++ compiler on a CPU.
    """

    def __init__(self, channels_last: bool = False, compile: bool = False) -> None:
        self.channels_last = channels_last
        self.compile = compile

    def before_train(self, runner: Any) -> None:
        """Set up the backbone, after the weights are loaded."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if self.channels_last:
            model.backbone.to(memory_format=torch.channels_last)
        if self.compile:
            model.backbone.compile()
