"""A network that a file describes is built only as large as the weights that come with it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from cellseg_mm.errors import UserError
from cellseg_mm.runs.model_bundle import ModelBundle

_SLACK = 2
"""Heads of MMDetection make some layers twice, the second time in their final form."""

_LEAST = 100, 1_000_000


@contextmanager
def no_larger_than_weights(bundle: ModelBundle) -> Iterator[None]:
    """Stop the building of a network in the block that outgrows the header of its weights' file.

    A parameter is looked at before its memory is written to, so what is refused takes none. A
    checkpoint of a training is left alone: its config is the user's own.

    Raises:
        UserError: The network has more parameters than the file has weights for.
    """
    if bundle.weights.suffix != ".safetensors":
        yield
        return
    try:
        with safe_open(bundle.weights, "pt") as file:
            keys = list(file.keys())
            sizes = [math.prod(file.get_slice(key).get_shape()) for key in keys]
    except SafetensorError as error:
        raise UserError(f"{bundle.weights} is no safetensors file ({error}).") from error
    most = [
        max(_SLACK * n, least) for n, least in zip((len(sizes), sum(sizes)), _LEAST, strict=True)
    ]
    found, thread = [0, 0], threading.get_ident()

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if parameter is None or threading.get_ident() != thread:
            return
        found[0] += 1
        found[1] += parameter.numel()
        if found[0] > most[0] or found[1] > most[1]:
            raise UserError(
                f"The model {bundle.name} describes a network that is larger than its weights; do "
                "not use."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
