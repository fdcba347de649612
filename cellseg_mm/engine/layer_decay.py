"""Layer-wise learning-rate decay for the backbones of this project."""

from __future__ import annotations

import re
from typing import Any

from mmdet.engine.optimizers.layer_decay_optimizer_constructor import get_layer_id_for_convnext
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from cellseg_mm.errors import UserError

_EFFICIENTNET_STAGE = re.compile(r"backbone\.timm_model\.blocks\.(\d+)\.")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """The nearer to the image a pretrained layer is, the less it learns.

    The learning rate of a layer is ``lr * decay_rate**n`` with n the number of layers above it in
    the backbone; neck and heads learn at ``lr``. Parameters with one dimension (norms, biases,
    layer scales) have no weight decay. MMDetection's constructor does the same for ConvNeXt alone.

    ``paramwise_cfg`` holds:

    - ``decay_rate`` (float): 1 = the same for all layers.
    - ``num_layers`` (int): Layers of the backbone after its first. ConvNeXt as in its own recipes:
      6 for Tiny and smaller, 12 for Base. EfficientNet: 7, its stages.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, **kwargs: Any) -> None:
        """Append the groups of the trainable parameters of a detector.

        Raises:
            ValueError: The layers of this backbone are not known.
        """
        num_layers, decay_rate = (self.paramwise_cfg[k] for k in ("num_layers", "decay_rate"))
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            layer = layer_of_parameter(name, num_layers)
            decays = parameter.ndim > 1
            if (layer, decays) not in groups:
                scale = decay_rate ** (num_layers + 1 - layer)
                groups[layer, decays] = {
                    "params": [],
                    "lr": self.base_lr * scale,
                    "weight_decay": (self.base_wd or 0.0) if decays else 0.0,
                }
            groups[layer, decays]["params"].append(parameter)
        for (layer, _), group in sorted(groups.items()):
            print_log(
                f"Layer {layer}: {len(group['params'])} tensors, lr {group['lr']:.3g}, "
                f"weight decay {group['weight_decay']:.3g}",
                logger="current",
            )
            params.append(group)


def layer_of_parameter(name: str, num_layers: int) -> int:
    """Number of the layer that a detector's parameter is in: 0 = the stem, n + 1 = neck and heads.

    Args:
        name: Name of the parameter, such as ``backbone.stages.2.5.norm.weight``.
        num_layers: n, layers of the backbone after the stem.

    Raises:
        ValueError: The parameter belongs to a backbone whose layers are not known.
    """
    if not name.startswith("backbone."):
        return num_layers + 1
    if name.startswith("backbone.timm_model."):
        stage = _EFFICIENTNET_STAGE.match(name)
        if stage:
            return int(stage[1]) + 1
        if name.startswith(("backbone.timm_model.conv_stem.", "backbone.timm_model.bn1.")):
            return 0
    elif name.startswith(("backbone.downsample_layers.", "backbone.stages.", "backbone.norm")):
        return int(get_layer_id_for_convnext(name, num_layers))
    raise UserError(
        f"The layer of {name} is not known: layer-wise decay works with ConvNeXt and EfficientNet; "
        "for another backbone set optim_wrapper.constructor=DefaultOptimWrapperConstructor."
    )
