"""How large a model is, against the limit of the task."""

from __future__ import annotations

import logging

from mmengine.logging import print_log
from torch import nn

PARAMETER_LIMIT = 200_000_000
"""A model of the task has fewer trainable parameters than this."""


def trainable_parameters(model: nn.Module) -> int:
    """Number of a model's parameters that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def log_trainable_parameters(model: nn.Module) -> None:
    """Write the number to the current log, as a warning where it is not under the limit."""
    count = trainable_parameters(model)
    within = count < PARAMETER_LIMIT
    print_log(
        f"Trainable parameters: {count / 1e6:.1f} M, {'under' if within else 'NOT under'} the "
        f"task's limit of {PARAMETER_LIMIT / 1e6:.0f} M",
        logger="current",
        level=logging.INFO if within else logging.WARNING,
    )
