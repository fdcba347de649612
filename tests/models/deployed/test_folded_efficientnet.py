"""A folded EfficientNet gives the maps of timm's own."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from cellseg_mm.models.deployed import folded_efficientnet
from cellseg_mm.models.deployed.folded_efficientnet import FoldedEfficientNet, can_fold


def network(name: str) -> nn.Module:
    """With norms that do something."""
    torch.manual_seed(0)
    made = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made


# With TensorFlow's padding, and with the usual one.
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "efficientnet_lite0"])
@torch.inference_mode()
def test_same_maps_in_blocks_that_do_not_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_efficientnet, "BLOCK", 10)
    stock = network(name)
    assert can_fold(stock)
    images = torch.randn(2, 3, 160, 224)
    expected = stock(images)
    found = FoldedEfficientNet(stock)(images)
    assert [tuple(level.shape) for level in found] == [tuple(level.shape) for level in expected]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_other_networks_are_left_alone() -> None:
    assert not can_fold(None)
    assert not can_fold(timm.create_model("efficientnet_b0", features_only=True))  # has SE
    assert not can_fold(timm.create_model("resnet18", features_only=True))
