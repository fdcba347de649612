"""Predicted masks as probabilities in their boxes, and how they become binary.

Masks are pasted box by box, without an image-sized canvas: the cost depends on the boxes' areas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.rle_masks import RLEMasks

Int64Array = npt.NDArray[np.int64]

# Pixels pasted at once, padding included: bounds the peak memory (about 60 bytes each).
PIXELS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class ProbabilityMasks:
    """N masks of one image, each a small grid of probabilities that fills a box.

    Attributes:
        grids: (N, h, w) float in [0, 1].
        boxes: (N, 4) float, xyxy in image pixels; may reach over the image's border.
        height, width: Of the image, pixels.
    """

    grids: Tensor
    boxes: Tensor
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.grids)

    def __getitem__(self, index: Tensor | slice) -> ProbabilityMasks:
        return ProbabilityMasks(self.grids[index], self.boxes[index], self.height, self.width)

    @staticmethod
    def cat(masks: Sequence[ProbabilityMasks]) -> ProbabilityMasks:
        """Concatenate masks of one image.

        Raises:
            ValueError: There is nothing to concatenate, or the image sizes differ.
        """
        sizes = {(m.height, m.width) for m in masks}
        if len(sizes) != 1:
            raise UserError(f"Masks of one image size can be concatenated, but got {sizes}.")
        filled = [m for m in masks if len(m)] or masks[:1]  # grids of none have no size to fit
        return ProbabilityMasks(
            torch.cat([m.grids for m in filled]),
            torch.cat([m.boxes for m in filled]),
            masks[0].height,
            masks[0].width,
        )

    def to_rle(self, threshold: float) -> RLEMasks:
        """Paste the masks into their boxes and threshold them.

        Equal to pasting into an (N, H, W) canvas with MMDetection's ``FCNMaskHead`` and encoding
        the result with pycocotools.

        Args:
            threshold: A pixel belongs to a mask when its probability is at least this.

        Returns:
            N masks, on the host; those without a pixel are kept.
        """
        return self.average(np.arange(len(self)), threshold)

    def average(self, groups: Int64Array, threshold: float) -> RLEMasks:
        """Fuse the masks of each group: average their probabilities pixel by pixel.

        Args:
            groups: (N,) int64, group 0 … G - 1 of each mask, none of them empty; -1 leaves a mask
                out.
            threshold: A pixel is in where the average is above this; where it is exactly this, the
                first mask of the group decides. Outside its box, a mask counts as 0.

        Returns:
            G masks. Of a group of equal masks, exactly what :meth:`to_rle` makes of one.
        """
        low, extent = self._group_windows(groups)
        sides = torch.where(extent.amin(dim=1) > 0, extent.amax(dim=1), 0).cpu().numpy()
        parts: list[Int64Array] = [np.zeros((3, 0), np.int64)]
        for chosen, members, local in _chunks(groups, sides):
            index, start, end = self._runs(members, local, low[chosen], extent[chosen], threshold)
            parts.append(np.stack([chosen[index], start, end]))
        group, start, end = np.concatenate(parts, axis=1)
        shape = len(low), self.height, self.width
        return RLEMasks.from_runs(MaskRuns.gather(group, start, end, shape))

    def _group_windows(self, groups: Int64Array) -> tuple[Tensor, Tensor]:
        """Corner (G, 2) and size (G, 2), in pixels, of the window around the boxes of each group.

        It reaches one pixel beyond the boxes.
        """
        boxes = self.boxes[groups >= 0]
        limit = boxes.new_tensor([self.width, self.height])
        low = (boxes[:, :2].floor() - 1).clamp(min=0)
        high = (boxes[:, 2:].ceil() + 1).minimum(limit)
        index = torch.as_tensor(groups[groups >= 0], device=low.device)[:, None].expand_as(low)
        count = int(groups.max(initial=-1)) + 1
        start = low.new_zeros(count, 2).scatter_reduce(0, index, low, "amin", include_self=False)
        end = low.new_zeros(count, 2).scatter_reduce(0, index, high, "amax", include_self=False)
        return start.long(), (end - start).clamp(min=0).long()

    def _runs(
        self, members: Int64Array, local: Int64Array, low: Tensor, extent: Tensor, threshold: float
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Average some masks by group; the foreground's runs as (group, start, end)."""
        width, height = extent.amax(dim=0).tolist()
        index, group = (torch.as_tensor(a, device=low.device) for a in (members, local))
        grids, boxes = self.grids[index].float(), self.boxes[index].float()
        values = _sample_windows(grids, boxes, low[group], width, height)
        foreground = values >= threshold
        if len(members) > len(low):
            # In double precision, the sum of n equal numbers is exactly n times the number; the
            # threshold is rounded first, as it is when a single mask is compared with it.
            total = values.new_zeros((len(low), width, height), dtype=torch.float64)
            total.index_add_(0, group, values.double())
            least = values.new_tensor(threshold).double() * torch.bincount(group)
            least = least[:, None, None]
            first = np.searchsorted(local, np.arange(len(low)))
            foreground = (total > least) | ((total == least) & foreground[first])
        return _foreground_runs(foreground, low, extent, self.height)


def _chunks(
    groups: Int64Array, sides: Int64Array
) -> Iterator[tuple[Int64Array, Int64Array, Int64Array]]:
    """Split groups, sorted by the side of their windows, so that memory stays bounded.

    Yields:
        The groups of a chunk, the masks that are in them, group by group, and the place of each
        mask's group in the chunk.
    """
    order = np.argsort(sides, kind="stable")
    sides = sides[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    grouped = np.flatnonzero(groups >= 0)
    by_rank = grouped[np.argsort(rank[groups[grouped]], kind="stable")]
    first = np.append(0, np.cumsum(np.bincount(groups[grouped], minlength=len(order))[order]))
    begin = int(np.searchsorted(sides, 1))  # a window without a pixel has nothing to give
    while begin < len(order):
        end = begin + 1
        # Windows are padded to the largest of the chunk: not more than twice.
        limit = max(int(sides[begin] * 1.4), 16)
        while (
            end < len(order)
            and sides[end] <= limit
            and (first[end + 1] - first[begin]) * int(sides[end]) ** 2 <= PIXELS_AT_ONCE
        ):
            end += 1
        members = by_rank[first[begin] : first[end]]
        yield order[begin:end], members, rank[groups[members]] - begin
        begin = end


def _sample_windows(
    grids: Tensor, boxes: Tensor, corner: Tensor, width: int, height: int
) -> Tensor:
    """Probabilities at the pixels of windows of one size; 0 outside of the boxes.

    Args:
        grids: (n, h, w) float, the mask in each box.
        boxes: (n, 4) float, xyxy in image pixels.
        corner: (n, 2) int64, x and y of each window's first pixel.
        width, height: Of the windows, pixels.

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


def _grid_coordinate(pixel: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pixel indices (n, m) → ``grid_sample`` coordinates in boxes from low to high (n, 1)."""
    coordinate = (pixel.float() + 0.5 - low) / (high - low) * 2 - 1
    # A box of no extent: the stock head samples the mask's centre there.
    return torch.where(torch.isinf(coordinate), 0.0, coordinate)


def _foreground_runs(
    foreground: Tensor, corner: Tensor, size: Tensor, height: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Runs of the foreground of windows of one image.

    Args:
        foreground: (n, w, h) bool, columns first; windows are padded to the largest of them.
        corner: (n, 2) int64, x and y of each window's first pixel.
        size: (n, 2) int64, width and height of each window without padding, pixels.
        height: Image height, pixels.

    Returns:
        The window, the first pixel in column-major order and the end of each run, in order.
    """
    x = torch.arange(foreground.shape[1], device=foreground.device)
    y = torch.arange(foreground.shape[2], device=foreground.device)
    inside = (x < size[:, :1])[:, :, None] & (y < size[:, 1:])[:, None, :]
    padded = F.pad(foreground & inside, (1, 1))
    # In each column, changes are a start and an end in turn.
    window, column, row = (padded[..., 1:] != padded[..., :-1]).nonzero(as_tuple=True)
    position = (column + corner[window, 0]) * height + row + corner[window, 1]
    owner, start, end = (a.cpu().numpy() for a in (window[::2], position[::2], position[1::2]))
    # A run may go on at the head of the next column.
    apart = (start[1:] != end[:-1]) | (owner[1:] != owner[:-1])
    first, last = np.append(True, apart)[: len(start)], np.append(apart, True)[: len(start)]
    return owner[first], start[first], end[last]
