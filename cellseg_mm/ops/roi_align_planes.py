"""RoIAlign of single instances, read straight from planes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Samples handled at once: bounds the peak memory (about 30 bytes each) whatever the boxes.
_CHUNK = 1 << 22


class AxisSamples(NamedTuple):
    """Bilinear sampling along one axis, all (R, samples); points outside weigh nothing."""

    low: Tensor
    high: Tensor
    weight_low: Tensor
    weight_high: Tensor


def roi_align_planes(
    planes: Tensor, ids: Tensor, boxes: Tensor, out_shape: tuple[int, int]
) -> Tensor:
    """RoIAlign of the bitmaps ``planes == id``, without making the bitmaps.

    Computes what ``mmcv.ops.roi_align(bitmaps[:, None], rois, out_shape, 1.0, 0, "avg", True)``
    does with one bitmap for each box: the same sampling points, weights and order of summation, so
    the result is the same to the last bit where the kernel rounds each operation (x86 CPUs).
    The cost depends on boxes and output size, neither on the image nor on the number of instances.

    Args:
        planes: (P, H, W) integer instance ids.
        ids: (R,) integer, the instance to sample in each box.
        boxes: (R, 4) float32, xyxy in pixels, on the device of ``planes``.
        out_shape: Output height and width.

    Returns:
        (R, *out_shape) float32 in [0, 1]: the share of the instance in each bin.

    Source: RoIAlign of Mask R-CNN (He et al., 2017), half-pixel aligned as in detectron2, with an
    adaptive number of samples.
    """
    out_h, out_w = out_shape
    result = boxes.new_zeros((len(boxes), out_h, out_w))
    if not len(boxes):
        return result
    start = boxes[:, :2] - 0.5
    size = (boxes[:, 2:] - 0.5) - start
    bins = size / size.new_tensor([out_w, out_h])
    # The one value that is read back from the device: how many samples each box takes.
    grids = bins.ceil().clamp(min=0).to(torch.int64).cpu()
    for grid in grids.unique(dim=0):
        grid_w, grid_h = (int(n) for n in grid)
        if grid_w * grid_h == 0:
            continue
        members = (grids == grid).all(dim=1).nonzero()[:, 0].to(boxes.device)
        for chunk in members.split(max(1, _CHUNK // (out_h * grid_h * out_w * grid_w))):
            x = sample_axis(start[chunk, 0], bins[chunk, 0], out_w, grid_w, planes.shape[2])
            y = sample_axis(start[chunk, 1], bins[chunk, 1], out_h, grid_h, planes.shape[1])
            samples = _bilinear(planes, ids[chunk], y, x)
            samples = samples.view(len(chunk), out_h, grid_h, out_w, grid_w)
            total = torch.zeros_like(samples[:, :, 0, :, 0])
            for row in range(grid_h):
                for column in range(grid_w):
                    total += samples[:, :, row, :, column]
            result[chunk] = total / (grid_h * grid_w)
    return result


def sample_axis(start: Tensor, bins: Tensor, out: int, grid: int, length: int) -> AxisSamples:
    """Sampling points, neighbours and weights along one axis of ``length`` pixels."""
    cell = torch.arange(out, device=start.device, dtype=start.dtype)
    offset = torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5
    edges = start[:, None] + cell * bins[:, None]
    position = (edges[:, :, None] + (offset * bins[:, None] / grid)[:, None, :]).flatten(1)
    inside = (position >= -1) & (position <= length)
    position = position.clamp(min=0)
    low = position.to(torch.int64).clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    weight_high = torch.where(low == length - 1, 0.0, position - low)
    weight_low = torch.where(inside, 1 - weight_high, 0.0)
    return AxisSamples(low, high, weight_low, torch.where(inside, weight_high, 0.0))


def _bilinear(planes: Tensor, ids: Tensor, y: AxisSamples, x: AxisSamples) -> Tensor:
    """Values of the instances' bitmaps at all pairs of y and x: (R, samples_y, samples_x)."""
    rows = torch.cat([y.low, y.high], dim=1) * planes.shape[2]
    columns = torch.cat([x.low, x.high], dim=1)
    index = rows[:, :, None] + columns[:, None, :]
    ids = ids[:, None, None].to(planes.dtype)
    absent = planes[0].take(index) != ids
    for plane in planes[1:]:
        absent &= plane.take(index) != ids
    absent = absent.view(len(ids), 2, y.low.shape[1], 2, x.low.shape[1])
    value: Tensor | None = None
    for row, weight_row in enumerate((y.weight_low, y.weight_high)):
        for column, weight_column in enumerate((x.weight_low, x.weight_high)):
            share = weight_row[:, :, None] * weight_column[:, None, :]
            share.masked_fill_(absent[:, row, :, column], 0.0)
            value = share if value is None else value.add_(share)
    assert value is not None
    return value
