"""RoIAlign of single instances, read straight from planes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cellseg_mm.ops.axis_samples import AxisSamples, bilinear, bin_edges

# Samples handled at once: bounds the peak memory (some 100 bytes each) whatever the boxes.
_CHUNK = 1 << 20


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
    grids = bins.ceil().clamp(min=0)
    grids = torch.where(grids.isfinite().all(dim=1, keepdim=True), grids, 0.0).to(torch.int64)
    counts = grids.prod(dim=1)
    # The one value that is read back from the device: how many samples each box takes.
    on_host, order = counts.cpu().sort(descending=True)
    order = order.to(boxes.device)
    per_chunk = max(1, _CHUNK // (out_h * out_w))
    for block, block_counts in zip(order.split(per_chunk), on_host.split(per_chunk), strict=True):
        total = result.new_zeros((len(block), out_h, out_w))
        for sizes, place, number in _passes(block_counts, per_chunk):
            box, number = block[place.to(boxes.device)], number.to(boxes.device)
            across = grids[box, 0]
            offset = torch.stack([number % across, number // across], dim=1) + 0.5
            shift = offset * bins[box] / grids[box]
            x_edges, y_edges = (
                bin_edges(start[box, axis], bins[box, axis], out)
                for axis, out in enumerate((out_w, out_h))
            )
            x = bilinear(x_edges + shift[:, :1], planes.shape[2])
            y = bilinear(y_edges + shift[:, 1:], planes.shape[1])
            for part in _sample(planes, ids[box], y, x).split(sizes):
                total[: len(part)].add_(part)
        result[block] = total
    return result.div_(counts.clamp(min=1)[:, None, None])


def _passes(counts: Tensor, per_chunk: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """The samples of a bin, one pass over the boxes after the other, several passes at a time.

    The first pass takes the first sample of each box, the second pass the next of those that have
    one, and so on, so that the sums keep their order.

    Args:
        counts: (R,) samples a bin of each box, falling: a pass takes the first so many boxes.
        per_chunk: Most boxes of all passes of a chunk together, at least R.

    Yields:
        Boxes of each pass; place in ``counts`` and number of each sample.
    """
    numbers = torch.arange(int(counts[0]))
    sizes = torch.searchsorted(-counts, -numbers)
    ends = sizes.cumsum(dim=0)
    begin, done = 0, 0
    while begin < len(numbers):
        end = int(torch.searchsorted(ends, done + per_chunk, right=True))
        of_chunk = sizes[begin:end]
        first = (ends[begin:end] - of_chunk - done).repeat_interleave(of_chunk)
        number = numbers[begin:end].repeat_interleave(of_chunk)
        yield of_chunk.tolist(), torch.arange(len(first)) - first, number
        begin, done = end, int(ends[end - 1])


def _sample(planes: Tensor, ids: Tensor, y: AxisSamples, x: AxisSamples) -> Tensor:
    """Values of the instances' bitmaps at all pairs of y and x: (R, samples_y, samples_x)."""
    height, width = planes.shape[1:]
    down, right = planes.stride()[1:]
    span = (height - 1) * down + (width - 1) * right + 1
    narrow = torch.int32 if span < 1 << 31 else torch.int64
    rows = torch.stack([y.low, y.high]).to(narrow) * down
    columns = torch.stack([x.low, x.high]).to(narrow) * right
    index = rows[:, None, :, :, None] + columns[None, :, :, None, :]
    ids = ids[:, None, None].to(planes.dtype)
    # The memory that a plane spans as one row: a part of a larger plane is not copied.
    spans = [plane.as_strided((span,), (1,)) for plane in planes]
    present = _equal(spans[0], index, ids)
    for plane in spans[1:]:
        present.bitwise_or_(_equal(plane, index, ids))
    row_weights = torch.stack([y.weight_low, y.weight_high])
    column_weights = torch.stack([x.weight_low, x.weight_high])
    shares = row_weights[:, None, :, :, None] * column_weights[None, :, :, None, :]
    shares = shares.mul_(present)
    return shares[0, 0].add_(shares[0, 1]).add_(shares[1, 0]).add_(shares[1, 1])


def _equal(pixels: Tensor, index: Tensor, ids: Tensor) -> Tensor:
    """1 where the pixels at ``index`` have the id of their box, else 0."""
    return pixels.index_select(0, index.flatten()).view(index.shape).eq_(ids)
