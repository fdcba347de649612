"""Layer-wise learning-rate decay."""

from __future__ import annotations

import pytest
import timm
from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmengine.optim import build_optim_wrapper
from mmpretrain.models import ConvNeXt
from torch import nn

import cellseg_mm.engine.layer_decay  # noqa: F401  (registers the constructor)
from cellseg_mm.engine.layer_decay import layer_of_parameter

TINY = {"depths": [1, 1, 4, 1], "channels": [8, 16, 24, 32]}


class Detector(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Conv2d(3, 3, 1)


class TimmBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.timm_model = timm.create_model("tf_efficientnet_lite0", features_only=True)


def rates(model: nn.Module, **paramwise: float) -> dict[str, tuple[float, float]]:
    """Name -> (learning rate, weight decay)."""
    wrapper = build_optim_wrapper(
        model,
        {
            "type": "OptimWrapper",
            "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.05},
            "constructor": "LayerDecayConstructor",
            "paramwise_cfg": paramwise,
        },
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in wrapper.optimizer.param_groups
        for parameter in group["params"]
    }


def test_convnext_as_in_mmdetection() -> None:
    model = Detector(ConvNeXt(TINY, out_indices=[0, 1, 2, 3], gap_before_final_norm=False))
    ours = rates(model, num_layers=6, decay_rate=0.5)
    stock = LearningRateDecayOptimizerConstructor(
        {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.05}},
        {"num_layers": 6, "decay_rate": 0.5, "decay_type": "layer_wise"},
    )
    groups: list[dict[str, object]] = []
    stock.add_params(groups, model)
    theirs = {
        name: (group["lr"], group["weight_decay"])
        for group in groups
        for name in group["param_names"]  # type: ignore[attr-defined]
    }
    # The stock constructor takes layer scales (C,) for norms, too.
    assert ours == theirs
    assert set(ours) == {name for name, _ in model.named_parameters()}


def test_efficientnet_by_stages() -> None:
    ours = rates(Detector(TimmBackbone()), num_layers=7, decay_rate=0.5)
    assert ours["neck.weight"] == (1.0, 0.05)
    assert ours["neck.bias"] == (1.0, 0.0)
    assert ours["backbone.timm_model.blocks.6.0.conv_pwl.weight"] == (0.5, 0.05)
    assert ours["backbone.timm_model.blocks.6.0.bn3.weight"] == (0.5, 0.0)
    assert ours["backbone.timm_model.blocks.0.0.conv_dw.weight"] == (0.5**7, 0.05)
    assert ours["backbone.timm_model.conv_stem.weight"] == (0.5**8, 0.05)


def test_frozen_parameters_are_left_out() -> None:
    model = Detector(TimmBackbone())
    for parameter in model.backbone.parameters():
        parameter.requires_grad = False
    assert set(rates(model, num_layers=7, decay_rate=0.5)) == {"neck.weight", "neck.bias"}


def test_an_unknown_backbone() -> None:
    with pytest.raises(ValueError, match="constructor=DefaultOptimWrapperConstructor"):
        layer_of_parameter("backbone.layer1.0.conv1.weight", 12)
