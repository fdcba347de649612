"""`mmcv._ext` on torchvision's prebuilt kernels.

mmcv reaches its compiled operators through one extension module, ``mmcv._ext``. Building it takes
a compiler, and nvcc for a GPU, while Mask R-CNN uses three of its operators: ``nms``,
``roi_align_forward`` and ``roi_align_backward``. torchvision ships all three for CPU and CUDA, so
this module calls them, and has ``softnms``, which mmcv runs on the CPU anyway, in NumPy.
:mod:`cellseg_mm.ops.mmcv_ext_finder` gives it the name ``mmcv._ext``, unless mmcv is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from cellseg_mm.ops.roi_align_gradient import roi_align_gradient


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression, as mmcv's operator of that name.

    Args:
        boxes: (N, 4) float, xyxy in pixels.
        scores: (N,) float.
        iou_threshold: A box goes when its IoU with a better one is larger than this.
        offset: 0 or 1, added to widths and heights (1 is the convention of inclusive corners).

    Returns:
        (K,) int64 indices of the kept boxes, best first.
    """
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    keep: Tensor = torch.ops.torchvision.nms(boxes, scores.to(boxes.dtype), iou_threshold)
    return keep


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    *,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (https://arxiv.org/abs/1704.04503), as mmcv's operator of that name.

    The best box lowers the scores of those that overlap it, again and again; boxes whose lowered
    score is under ``min_score`` go.

    Args:
        boxes: (N, 4) float on the CPU, xyxy in pixels.
        scores: (N,) float on the CPU.
        dets: (N, 5), its first K rows filled in place: boxes kept and their new scores.
        iou_threshold: IoU from which on a box is touched, for methods 0 and 1.
        sigma: Width of method 2.
        min_score: Least score kept. The best box of all is kept in any case.
        method: Factor of the score at IoU u: 0 = none is left, 1 = 1 - u, 2 = exp(-u² / sigma).
        offset: 0 or 1, added to widths and heights.

    Returns:
        (K,) int64 indices of the kept boxes in the order of their new scores.
    """
    x1, y1, x2, y2 = boxes.double().numpy().T.copy()
    x2, y2 = x2 + offset, y2 + offset
    areas = (x2 - x1) * (y2 - y1)
    current = scores.double().numpy().copy()  # -inf for boxes that are kept already, or gone
    kept: list[int] = []
    while len(kept) < len(current):
        best = int(current.argmax())
        if current[best] == -np.inf:
            break
        dets[len(kept), 4] = float(current[best])
        kept.append(best)
        current[best] = -np.inf
        width = np.minimum(x2, x2[best]) - np.maximum(x1, x1[best])
        height = np.minimum(y2, y2[best]) - np.maximum(y1, y1[best])
        touched = np.flatnonzero((width > 0) & (height > 0) & (current > -np.inf))
        shared = width[touched] * height[touched]
        iou = shared / (areas[touched] + areas[best] - shared)
        if method == 2:
            factor = np.exp(-(iou**2) / sigma)
        else:
            factor = np.where(iou >= iou_threshold, 1 - iou if method == 1 else 0.0, 1.0)
        current[touched] *= factor
        current[current < min_score] = -np.inf
    keep = torch.tensor(kept, dtype=torch.int64)
    dets[: len(keep), :4] = boxes[keep]
    return keep


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign with average pooling; fills ``output`` in place, as mmcv's operator does.

    Args:
        features: (B, C, H, W) float.
        rois: (R, 5) float: batch index, then xyxy in input pixels.
        output: (R, C, aligned_height, aligned_width), the dtype of ``features``.
        argmax_y, argmax_x: Unused: only max pooling has them.
        aligned_height, aligned_width: Size of the output.
        spatial_scale: Feature pixels for each input pixel.
        sampling_ratio: Samples along each side of an output bin; 0 = as many as its size asks for.
        pool_mode: 1 = average, 0 = max.
        aligned: Shift by half a pixel, so that pixel centres lie at .5.

    Raises:
        NotImplementedError: Max pooling is asked for.
    """
    if pool_mode != 1:
        _unsupported("roi_align with pool_mode='max'")
    dtype = _kernel_dtype(features)
    output.copy_(
        torch.ops.torchvision.roi_align(
            features.to(dtype),
            rois.to(dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward`; fills ``grad_input`` (B, C, H, W) in place.

    Args:
        grad_output: (R, C, aligned_height, aligned_width) gradient of the output.

    The other arguments are those of the forward pass.
    """
    if pool_mode != 1:
        _unsupported("roi_align with pool_mode='max'")
    dtype = _kernel_dtype(grad_output)
    batch, channels, height, width = grad_input.shape
    if aligned and grad_output.device.type == "cpu":
        gradient = roi_align_gradient(
            grad_output.to(dtype),
            rois.to(dtype),
            (batch, channels, height, width),
            spatial_scale,
            sampling_ratio,
        )
        grad_input.copy_(gradient)
        return
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype),
            rois.to(dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            batch,
            channels,
            height,
            width,
            sampling_ratio,
            aligned,
        )
    )


def _kernel_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype to compute in: half floats are too coarse for box coordinates above 256."""
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def _unsupported(operator: str) -> NoReturn:
    raise NotImplementedError(
        f"{operator} is a compiled operator of mmcv that has no counterpart in torchvision: use a "
        "config without it, or install an mmcv built with its operators (MMCV_WITH_OPS=1), which "
        "cellseg_mm then uses as it is."
    )


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Any other operator: mmcv looks up all that it knows when it is imported, and calls few."""
    if name.startswith("__"):
        raise AttributeError(name)

    def unsupported(*args: object, **kwargs: object) -> NoReturn:
        _unsupported(f"'{name}'")

    return unsupported
