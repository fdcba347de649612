"""timm's EfficientNets for inference: batch norms folded, wide layers block by block."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from timm.models.efficientnet import EfficientNetFeatures
from torch import Tensor, nn

BLOCK = 64
"""Side of the blocks, output pixels.

The expanded features of a block, some 100 channels, are a few MB. Of a whole tile they are 100 MB,
which is read from memory at every step, and costs a page fault for each 4 kB. 64 is the fastest of
32, 48, 64, 96 and 128 on a core with 1 MB of L2 cache.
"""


class FoldedEfficientNet(nn.Module):
    """An ``EfficientNetFeatures`` in evaluation mode with the same outputs, up to rounding.

    Args:
        network: An ``EfficientNetFeatures``; :func:`can_fold` says whether it will do.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        stem = _FoldedConv(network.conv_stem, network.bn1)
        first, *stages = network.blocks
        # The first block's output has few channels, its input has many: one block with the stem.
        self.stem = _InBlocks(
            nn.Sequential(stem, *(_Residual(block) for block in first[:1])),
            stride=2,
            halo=4,
            channels=_last_conv(first[0]).out_channels,
            block=2 * BLOCK,
        )
        rest = nn.Sequential(*(_blockwise(block) for block in first[1:]))
        self.stages = nn.ModuleList(
            [rest, *(nn.Sequential(*(_blockwise(block) for block in stage)) for stage in stages)]
        )
        self._outputs = set(network._stage_out_idx)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The feature maps of a batch (B, 3, H, W) whose sides are multiples of 32."""
        features = self.stem(image)
        found = []
        for number, stage in enumerate(self.stages, start=1):
            features = stage(features)
            if number in self._outputs:
                found.append(features)
        return found


def can_fold(network: Any) -> bool:
    """Whether a network is one that :class:`FoldedEfficientNet` reproduces."""
    if not isinstance(network, EfficientNetFeatures):
        return False
    stages: Any = network.blocks
    return bool(
        network.feature_hooks is None
        and 0 not in network._stage_out_idx
        and network.conv_stem.stride == (2, 2)
        and all(
            type(block) in (DepthwiseSeparableConv, InvertedResidual)
            and block.conv_s2d is None
            and isinstance(block.se, nn.Identity)
            and isinstance(block.aa, nn.Identity)
            for stage in stages
            for block in stage
        )
        and all(
            isinstance(norm, BatchNormAct2d)
            for norm in network.modules()
            if isinstance(norm, nn.modules.batchnorm._NormBase)
        )
    )


class _FoldedConv(nn.Module):
    """Convolution, batch norm and activation."""

    def __init__(self, conv: Any, norm: Any) -> None:
        super().__init__()
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = conv.weight * scale[:, None, None, None]
        self._stride = conv.stride
        self._padding = tuple(side // 2 for side in conv.kernel_size)
        self._groups = conv.groups
        self._activation = norm.act
        if isinstance(conv, Conv2dSame) and conv.stride == (2, 2):
            # TensorFlow pads an even side by one more pixel after than before. An empty row and
            # column in front of the kernel do the same without a padded copy of the features.
            weight = F.pad(weight, (1, 0, 1, 0))
        self.weight = nn.Parameter(weight.detach().contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, self._stride, self._padding, groups=self._groups)
        activated: Tensor = self._activation(y)
        return activated


class _Residual(nn.Module):
    """One of EfficientNet's blocks."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        names = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
        if isinstance(block, InvertedResidual):
            names = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
        self.layers = nn.Sequential(
            *(_FoldedConv(getattr(block, conv), getattr(block, norm)) for conv, norm in names)
        )
        self._has_skip = block.has_skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y.add_(x) if self._has_skip else y


class _InBlocks(nn.Module):
    """Applies layers to an image of features block by block, with the same result.

    Args:
        layers: The layers.
        stride: Of all of them together.
        halo: Input pixels around a block that its outputs depend on, at least; even.
        channels: Of the output.
        block: Side of a block, output pixels.
    """

    def __init__(
        self, layers: nn.Module, stride: int, halo: int, channels: int, block: int
    ) -> None:
        super().__init__()
        self.layers = layers
        self._stride, self._halo, self._channels, self._block = stride, halo, channels, block

    def forward(self, x: Tensor) -> Tensor:
        stride, halo, side = self._stride, self._halo, self._block
        height, width = x.shape[2] // stride, x.shape[3] // stride
        if x.device.type != "cpu" or height * width <= 1.5 * side * side:
            return self._run(x)
        shape = (len(x), self._channels, height, width)
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        for top in range(0, height, side):
            for left in range(0, width, side):
                y, x_ = max(top * stride - halo, 0), max(left * stride - halo, 0)
                bottom, right = (top + side) * stride + halo, (left + side) * stride + halo
                block = self._run(x[:, :, y:bottom, x_:right])
                target = out[:, :, top : top + side, left : left + side]
                y, x_ = top - y // stride, left - x_ // stride
                target.copy_(block[:, :, y : y + target.shape[2], x_ : x_ + target.shape[3]])
        return out

    def _run(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return y


def _blockwise(block: Any) -> nn.Module:
    depthwise = block.conv_dw
    return _InBlocks(
        _Residual(block),
        stride=depthwise.stride[0],
        halo=depthwise.kernel_size[0] // 2 * 2,
        channels=_last_conv(block).out_channels,
        block=BLOCK,
    )


def _last_conv(block: Any) -> nn.Conv2d:
    conv: nn.Conv2d = block.conv_pwl if isinstance(block, InvertedResidual) else block.conv_pw
    return conv
