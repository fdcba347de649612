"""Where RoIAlign samples along one axis, and with which weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class AxisSamples(NamedTuple):
    """Bilinear sampling along one axis, all (R, samples); points outside weigh nothing."""

    low: Tensor
    high: Tensor
    weight_low: Tensor
    weight_high: Tensor


def sample_axis(start: Tensor, bins: Tensor, out: int, grid: int, length: int) -> AxisSamples:
    """All samples of boxes that take ``grid`` a bin, along an axis of ``length`` pixels.

    Args:
        start: (R,) float, where the boxes begin.
        bins: (R,) float, the width of their bins.
        out: Bins of a box.
        grid: Samples of a bin.
        length: Pixels of the axis.

    Returns:
        Neighbours and weights, (R, out × grid) each.
    """
    offset = torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5
    shift = offset * bins[:, None] / grid
    position = bin_edges(start, bins, out)[:, :, None] + shift[:, None, :]
    return bilinear(position.flatten(1), length)


def bin_edges(start: Tensor, bins: Tensor, out: int) -> Tensor:
    """Where the bins of (R,) boxes begin: (R, out)."""
    numbers = torch.arange(out, device=start.device, dtype=start.dtype)
    return start[:, None] + numbers * bins[:, None]


def bilinear(position: Tensor, length: int) -> AxisSamples:
    """Neighbours and weights of (R, samples) positions along an axis of ``length`` pixels."""
    inside = (position >= -1) & (position <= length)
    position = position.clamp(min=0)
    low = position.to(torch.int64).clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    weight_high = torch.where(low == length - 1, 0.0, position - low)
    weight_low = torch.where(inside, 1 - weight_high, 0.0)
    return AxisSamples(low, high, weight_low, torch.where(inside, weight_high, 0.0))
