"""Gradient of RoIAlign on a CPU, as a product with a sparse matrix.

RoIAlign is linear: every output bin is a weighted sum of a few feature pixels, with the same
weights in every channel. torchvision's CPU kernel works them out anew for each channel, which takes
a fifth of a training step of the laptop's network. Here they are worked out once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csc_array
from torch import Tensor

from cellseg_mm.ops.axis_samples import sample_axis

# Weights held at once: bounds the memory (12 bytes each) whatever the boxes.
_CHUNK = 1 << 22


def roi_align_gradient(
    grad_output: Tensor,
    rois: Tensor,
    shape: tuple[int, int, int, int],
    spatial_scale: float,
    sampling_ratio: int,
) -> Tensor:
    """Gradient of half-pixel aligned, averaging RoIAlign with respect to the features.

    The sums are those of ``torch.ops.torchvision._roi_align_backward`` in another order.

    Args:
        grad_output: (R, C, h, w) float32 or float64 on the CPU.
        rois: (R, 5) float: batch index, then xyxy in input pixels.
        shape: B, C, H, W of the features.
        spatial_scale: Feature pixels for each input pixel.
        sampling_ratio: Samples along each side of a bin; 0 = as many as its size asks for.

    Returns:
        (B, C, H, W), the dtype of ``grad_output``.
    """
    batch, channels, height, width = shape
    out_h, out_w = grad_output.shape[2:]
    start = rois[:, 1:3] * spatial_scale - 0.5
    size = rois[:, 3:5] * spatial_scale - 0.5 - start
    bins = size / size.new_tensor([out_w, out_h])
    grids = bins.ceil().clamp(min=0).to(torch.int64)
    if sampling_ratio > 0:
        grids.fill_(sampling_ratio)
    total = np.zeros((batch * height * width, channels), grad_output.numpy().dtype)
    for grid in grids.unique(dim=0):
        grid_w, grid_h = (int(n) for n in grid)
        if grid_w * grid_h == 0:
            continue
        members = (grids == grid).all(dim=1).nonzero()[:, 0]
        for chunk in members.split(max(1, _CHUNK // (4 * out_h * grid_h * out_w * grid_w))):
            x = sample_axis(start[chunk, 0], bins[chunk, 0], out_w, grid_w, width)
            y = sample_axis(start[chunk, 1], bins[chunk, 1], out_h, grid_h, height)
            rows = torch.stack([y.low, y.high]) + rois[chunk, 0].to(torch.int64)[:, None] * height
            pixels = _per_bin(rows * width, torch.stack([x.low, x.high]), grid_h, grid_w, "sum")
            weights = _per_bin(
                torch.stack([y.weight_low, y.weight_high]),
                torch.stack([x.weight_low, x.weight_high]) / (grid_h * grid_w),
                grid_h,
                grid_w,
                "product",
            )
            gradient = grad_output[chunk].permute(0, 2, 3, 1).reshape(-1, channels).numpy()
            total += _product(pixels, weights.astype(total.dtype), gradient, len(total))
    by_pixel = torch.from_numpy(total).view(batch, height, width, channels)
    return by_pixel.permute(0, 3, 1, 2).contiguous()


def _per_bin(y: Tensor, x: Tensor, grid_h: int, grid_w: int, how: str) -> npt.NDArray[Any]:
    """Combine (2, R, h · grid_h) and (2, R, w · grid_w): (R · h · w, 4 · grid_h · grid_w)."""
    count = y.shape[1]
    y = y.view(2, count, -1, grid_h).permute(1, 2, 0, 3).flatten(2)
    x = x.view(2, count, -1, grid_w).permute(1, 2, 0, 3).flatten(2)
    y, x = y[:, :, None, :, None], x[:, None, :, None, :]
    both = y + x if how == "sum" else y * x
    return both.reshape(-1, both.shape[3] * both.shape[4]).numpy()


def _product(
    pixels: npt.NDArray[Any], weights: npt.NDArray[Any], gradient: npt.NDArray[Any], length: int
) -> npt.NDArray[Any]:
    """Spread the gradient of each bin, (N, C), over its pixels: (length, C)."""
    ends = np.arange(len(pixels) + 1) * pixels.shape[1]
    matrix = csc_array((weights.ravel(), pixels.ravel(), ends), shape=(length, len(pixels)))
    product: npt.NDArray[Any] = matrix @ gradient
    return product
