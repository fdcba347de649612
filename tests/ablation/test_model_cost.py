"""Parameters and GFLOPs against counts by hand."""

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config

from cellseg_mm.ablation.model_cost import measure_model


def test_a_model_of_one_convolution():
    from torch import nn

    @MODELS.register_module(force=True)
    class OneConvolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
            self.head = nn.Linear(10, 10)
            self.head.requires_grad_(False)

    cost = measure_model(Config({"model": {"type": "OneConvolution"}}), (64, 32))

    assert cost.parameters == 3 * 8 * 9 + 110
    assert cost.trainable == 3 * 8 * 9
    # 3 × 3 × 3 multiply-adds for each of 8 × 32 × 16 outputs.
    assert cost.gflops == pytest.approx(27 * 8 * 32 * 16 / 1e9)
