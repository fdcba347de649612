"""RoIAlign of single instances, read straight from planes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Samples handled at once: bounds the peak memory (about 100 bytes each) whatever the boxes.
_CHUNK = 1 << 21


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
    grids = bins.ceil().clamp(min=0).to(torch.int64)
    # The one value that is read back from the device: how many samples each box takes.
    boxes_of, turns = _passes(grids.prod(dim=1).cpu())
    per_chunk = max(1, _CHUNK // (out_h * out_w))
    for box, turn in zip(boxes_of.split(per_chunk), turns.split(per_chunk), strict=True):
        lengths = turn.unique_consecutive(return_counts=True)[1].tolist()
        box, turn = box.to(boxes.device), turn.to(boxes.device)
        across = grids[box, 0]
        offset = torch.stack([turn % across, turn // across], dim=1) + 0.5
        shift = offset * bins[box] / grids[box]
        x = _bilinear(_edges(start[box, 0], bins[box, 0], out_w) + shift[:, :1], planes.shape[2])
        y = _bilinear(_edges(start[box, 1], bins[box, 1], out_h) + shift[:, 1:], planes.shape[1])
        samples = _sample(planes, ids[box], y, x)
        for members, part in zip(box.split(lengths), samples.split(lengths), strict=True):
            result.index_add_(0, members, part)
    return result.div_(grids.prod(dim=1).clamp(min=1)[:, None, None])


def _passes(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The samples of a bin, one pass over the boxes after the other: boxes and numbers, (S,) each.

    The first pass takes the first sample of each box, the second pass the next of those that have
    one, and so on: within a pass no box comes twice, and the sums keep their order.
    """
    first = counts.cumsum(dim=0) - counts
    box = torch.arange(len(counts)).repeat_interleave(counts)
    number = torch.arange(len(box)) - first[box]
    number, order = number.sort(stable=True)
    return box[order], number


def sample_axis(start: Tensor, bins: Tensor, out: int, grid: int, length: int) -> AxisSamples:
    """Sampling points, neighbours and weights along one axis of ``length`` pixels."""
    offset = torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5
    shift = offset * bins[:, None] / grid
    position = _edges(start, bins, out)[:, :, None] + shift[:, None, :]
    return _bilinear(position.flatten(1), length)


def _edges(start: Tensor, bins: Tensor, out: int) -> Tensor:
    """Where the bins begin: (R, out)."""
    numbers = torch.arange(out, device=start.device, dtype=start.dtype)
    return start[:, None] + numbers * bins[:, None]


def _bilinear(position: Tensor, length: int) -> AxisSamples:
    """Neighbours and weights of positions along an axis of ``length`` pixels."""
    inside = (position >= -1) & (position <= length)
    position = position.clamp(min=0)
    low = position.to(torch.int64).clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    weight_high = torch.where(low == length - 1, 0.0, position - low)
    weight_low = torch.where(inside, 1 - weight_high, 0.0)
    return AxisSamples(low, high, weight_low, torch.where(inside, weight_high, 0.0))


def _sample(planes: Tensor, ids: Tensor, y: AxisSamples, x: AxisSamples) -> Tensor:
    """Values of the instances' bitmaps at all pairs of y and x: (R, samples_y, samples_x)."""
    height, width = planes.shape[1:]
    narrow = torch.int32 if height * width < 1 << 31 else torch.int64
    rows = torch.stack([y.low, y.high]).to(narrow) * width
    columns = torch.stack([x.low, x.high]).to(narrow)
    index = rows[:, None, :, :, None] + columns[None, :, :, None, :]
    ids = ids[:, None, None].to(planes.dtype)
    present = _equal(planes[0], index, ids)
    for plane in planes[1:]:
        present.bitwise_or_(_equal(plane, index, ids))
    row_weights = torch.stack([y.weight_low, y.weight_high])
    column_weights = torch.stack([x.weight_low, x.weight_high])
    shares = row_weights[:, None, :, :, None] * column_weights[None, :, :, None, :]
    (low_low, low_high), (high_low, high_high) = shares.mul_(present)
    return low_low.add_(low_high).add_(high_low).add_(high_high)


def _equal(plane: Tensor, index: Tensor, ids: Tensor) -> Tensor:
    """1 where the pixels of ``plane`` at ``index`` have the id of their box, else 0."""
    return plane.flatten().index_select(0, index.flatten()).view(index.shape).eq_(ids)
