"""Parameters and arithmetic of a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from cellseg_mm.runs.parameter_count import trainable_parameters

INPUT_SIZE = (512, 512)
"""Height and width that the arithmetic is counted for, pixels."""

_SHARED_PARTS = ("backbone", "neck", "rpn_head")


class ModelCost(NamedTuple):
    """What a model needs.

    Attributes:
        parameters: Number of parameters.
        trainable: Number of those that training changes.
        gflops: Billions of multiply-adds of backbone, neck and RPN for one image of the input
            size. One multiply-add counts as one, as in MMDetection and the papers. The heads on
            regions are left out: their work depends on the number of cells.
        input_size: Height and width, pixels.
    """

    parameters: int
    trainable: int
    gflops: float
    input_size: tuple[int, int]


def measure_model(config: Config, input_size: tuple[int, int] = INPUT_SIZE) -> ModelCost:
    """Build a config's model, without pretrained weights, and count.

    The forward pass runs on torch's meta device: shapes only, no arithmetic.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    model = MODELS.build(config.model)
    trainable = trainable_parameters(model)
    total = sum(p.numel() for p in model.parameters())
    model = model.eval().to("meta")
    features: Any = torch.empty(1, 3, *input_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for name in _SHARED_PARTS:
            part = getattr(model, name, None)
            if part is not None:
                features = part(features)
    return ModelCost(total, trainable, counter.get_total_flops() / 2 / 1e9, input_size)
