"""The anchors of a config, and the size at which its network sees an image."""

from __future__ import annotations

import math
from typing import Any

import mmcv
import numpy as np
from mmdet.models.task_modules import AnchorGenerator
from mmdet.registry import TASK_UTILS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from cellseg_mm.analysis.anchor_fit import AnchorLevel
from cellseg_mm.errors import UserError


def configured_levels(config: Config) -> list[AnchorLevel]:
    """The anchors of the config's RPN.

    Raises:
        ValueError: The model has no RPN with an ``AnchorGenerator``.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    settings = config.model.get("rpn_head", {}).get("anchor_generator")
    generator: Any = TASK_UTILS.build(settings) if settings else None
    if not hasattr(generator, "base_anchors"):
        raise UserError(
            f"{config.filename} has no model.rpn_head.anchor_generator: take a config with anchors."
        )
    return generator_levels(generator)


def generator_levels(generator: AnchorGenerator) -> list[AnchorLevel]:
    """The anchors of MMDetection's generator."""
    return [
        AnchorLevel(base.numpy().astype(np.float64), tuple(stride))
        for base, stride in zip(generator.base_anchors, generator.strides, strict=True)
    ]


def network_scale(config: Config, width: int, height: int) -> tuple[float, tuple[int, int]]:
    """How the validation pipeline resizes an image.

    Looks at the first ``Resize`` of the pipeline and at the data preprocessor's padding; other
    transforms that change the size are not followed.

    Returns:
        scale: Network pixels for each image pixel.
        padded: Width and height of the network's input, pixels.
    """
    pipeline = config.val_dataloader.dataset.get("pipeline", [])
    resize: Any = next((step for step in pipeline if step["type"] == "Resize"), {})
    target = resize.get("scale") or resize.get("scale_factor", 1.0)
    (new_width, new_height), scale = mmcv.rescale_size(
        (width, height), tuple(target) if isinstance(target, list | tuple) else target, True
    )
    divisor = config.model.get("data_preprocessor", {}).get("pad_size_divisor", 1)
    padded = (math.ceil(side / divisor) * divisor for side in (new_width, new_height))
    return float(scale), (next(padded), next(padded))
