"""From mask logits to COCO RLE inside the boxes, without an image-sized canvas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellseg_mm.structures.coco_rle import encode_foreground
from cellseg_mm.structures.rle_masks import RLEMasks

IntArray = npt.NDArray[np.int64]

# Pixels pasted at once, padding included: bounds the peak memory (about 60 bytes each).
PIXELS_AT_ONCE = 1 << 20


def paste_masks(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float = 0.5
) -> RLEMasks:
    """Paste small masks into their boxes, threshold them and encode them as COCO RLE.

    Equal to pasting into an (N, H, W) canvas with MMDetection's ``FCNMaskHead`` and encoding the
    result with pycocotools, but the cost depends on the boxes' areas, not on the image's.

    Args:
        probabilities: (N, h, w) float, the mask of each box's class, in [0, 1].
        boxes: (N, 4) float, xyxy in image pixels; may reach over the image's border.
        height: Image height, pixels.
        width: Image width, pixels.
        threshold: A pixel belongs to the mask when its probability is at least this.

    Returns:
        N masks in the order of the boxes, on the host; masks without a pixel are kept.
    """
    parts = list(_paste(probabilities.float(), boxes.float(), height, width, threshold))
    instance, start, length = (np.concatenate(part) for part in zip(*parts, strict=True))
    return RLEMasks(
        encode_foreground(instance, start, length, len(boxes), height * width), height, width
    )


def _paste(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield the foreground runs as (instance, start, length), a chunk of boxes at a time.

    ``start`` counts pixels in column-major order; the runs of an instance come in order.
    """
    empty = np.zeros(0, np.int64)
    yield empty, empty, empty
    # The window of a box: its pixels and one more on each side, clipped to the image.
    low = (boxes[:, :2].floor() - 1).clamp(min=0).to(torch.int64)
    limit = torch.tensor([width, height], device=boxes.device)
    extent = ((boxes[:, 2:].ceil() + 1).to(torch.int64).minimum(limit) - low).clamp(min=0)
    # Boxes of similar size go together, since the windows of a chunk are padded to the largest.
    side = extent.amax(dim=1)
    order = side.argsort()
    for members in _chunks(order, side[order].cpu().numpy()):
        box, corner, size = boxes[members], low[members], extent[members]
        window_w, window_h = size.amax(dim=0).tolist()
        if window_w == 0 or window_h == 0:
            continue
        values = sample_windows(probabilities[members], box, corner, window_w, window_h)
        window, start, length = foreground_runs(values >= threshold, corner, size, height)
        yield members[window].cpu().numpy(), start.cpu().numpy(), length.cpu().numpy()


def sample_windows(grids: Tensor, boxes: Tensor, corner: Tensor, width: int, height: int) -> Tensor:
    """Probabilities at the pixels of windows of one size; 0 outside of the boxes.

    Args:
        grids: (n, h, w) float, the mask in each box.
        boxes: (n, 4) float, xyxy in image pixels.
        corner: (n, 2) int64, x and y of each window's first pixel.
        width: Width of the windows, pixels.
        height: Height of the windows, pixels.

    Returns:
        (n, width, height) float: columns first, so that the foreground comes out in RLE's order.
    """
    x = torch.arange(width, device=boxes.device)
    y = torch.arange(height, device=boxes.device)
    grid_x = _grid_coordinate(corner[:, :1] + x, boxes[:, 0:1], boxes[:, 2:3])
    grid_y = _grid_coordinate(corner[:, 1:] + y, boxes[:, 1:2], boxes[:, 3:4])
    shape = (len(boxes), width, height)
    grid = torch.stack([grid_x[:, :, None].expand(shape), grid_y[:, None, :].expand(shape)], dim=3)
    return F.grid_sample(grids[:, None], grid, align_corners=False)[:, 0]


def foreground_runs(
    foreground: Tensor, corner: Tensor, size: Tensor, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs of the foreground of windows of one image.

    Args:
        foreground: (n, w, h) bool, columns first; windows are padded to the largest of them.
        corner: (n, 2) int64, x and y of each window's first pixel.
        size: (n, 2) int64, width and height of each window without padding, pixels.
        height: Image height, pixels.

    Returns:
        The window, the first pixel in column-major order and the length of each run, in order.
    """
    x = torch.arange(foreground.shape[1], device=foreground.device)
    y = torch.arange(foreground.shape[2], device=foreground.device)
    inside = (x < size[:, :1])[:, :, None] & (y < size[:, 1:])[:, None, :]
    window, column, row = (foreground & inside).nonzero(as_tuple=True)
    position = (column + corner[window, 0]) * height + row + corner[window, 1]
    is_start = torch.ones_like(position, dtype=torch.bool)
    is_start[1:] = (position.diff() != 1) | (window.diff() != 0)
    first = is_start.nonzero()[:, 0]
    length = first.diff(append=first.new_tensor([len(position)]))
    return window[first], position[first], length


def _grid_coordinate(pixel: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pixel indices (n, m) → ``grid_sample`` coordinates in boxes from low to high (n, 1)."""
    coordinate = (pixel.float() + 0.5 - low) / (high - low) * 2 - 1
    # A box of no extent: the stock head samples the mask's centre there.
    return torch.where(torch.isinf(coordinate), 0.0, coordinate)


def _chunks(order: Tensor, sides: IntArray) -> Iterator[Tensor]:
    """Split boxes, sorted by side, so that padded windows hold at most PIXELS_AT_ONCE."""
    begin = 0
    while begin < len(sides):
        end = begin + 1
        # Not more than twice the padding: windows in a chunk differ by at most 1.4 × in side.
        limit = max(int(sides[begin] * 1.4), 16)
        while (
            end < len(sides)
            and sides[end] <= limit
            and ((end + 1 - begin) * int(sides[end]) ** 2 <= PIXELS_AT_ONCE)
        ):
            end += 1
        yield order[begin:end]
        begin = end
