"""Predicted masks as probabilities in their boxes, before a threshold makes them binary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.structures.coco_rle import encode_foreground
from cellseg_mm.structures.mask_pasting import (
    PIXELS_AT_ONCE,
    foreground_runs,
    paste_masks,
    sample_windows,
)
from cellseg_mm.structures.rle_masks import RLEMasks

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ProbabilityMasks:
    """N masks of one image, each a small grid of probabilities that fills a box.

    Attributes:
        grids: (N, h, w) float in [0, 1].
        boxes: (N, 4) float, xyxy in image pixels; may reach over the image's border.
        height: Image height, pixels.
        width: Image width, pixels.
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
        """Binary masks, the same as without the detour through this class."""
        return paste_masks(self.grids, self.boxes, self.height, self.width, threshold)

    def average(self, groups: Int64Array, threshold: float) -> RLEMasks:
        """Fuse the masks of each group: average their probabilities pixel by pixel.

        Args:
            groups: (N,) int64, group 0 … G - 1 of each mask, none of them empty.
            threshold: A pixel is in where the average is at least this. Outside its box, a mask
                counts as 0.

        Returns:
            G masks. Of a group of equal masks, exactly what :meth:`to_rle` makes of one.
        """
        low, extent = self._group_windows(groups)
        parts: list[Int64Array] = [np.zeros((3, 0), np.int64)]
        for chosen, members, local in _chunks(groups, extent.amax(dim=1).cpu().numpy()):
            index, start, length = self._runs(
                torch.as_tensor(members, device=low.device),
                torch.as_tensor(local, device=low.device),
                low[chosen],
                extent[chosen],
                threshold,
            )
            parts.append(np.stack([chosen[index], start, length]))
        group, start, length = np.concatenate(parts, axis=1)
        counts = encode_foreground(group, start, length, len(low), self.height * self.width)
        return RLEMasks(counts, self.height, self.width)

    def _group_windows(self, groups: Int64Array) -> tuple[Tensor, Tensor]:
        """Corner (G, 2) and size (G, 2), in pixels, of the window around the boxes of each group.

        It reaches one pixel beyond the boxes, as in :func:`paste_masks`.
        """
        limit = self.boxes.new_tensor([self.width, self.height])
        low = (self.boxes[:, :2].floor() - 1).clamp(min=0)
        high = (self.boxes[:, 2:].ceil() + 1).minimum(limit)
        index = torch.as_tensor(groups, device=low.device)[:, None].expand_as(low)
        count = int(groups.max(initial=-1)) + 1
        start = low.new_zeros(count, 2).scatter_reduce(0, index, low, "amin", include_self=False)
        end = low.new_zeros(count, 2).scatter_reduce(0, index, high, "amax", include_self=False)
        return start.long(), (end - start).clamp(min=0).long()

    def _runs(
        self, members: Tensor, groups: Tensor, low: Tensor, extent: Tensor, threshold: float
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Average some masks by group; the foreground's runs as (group, start, length)."""
        window_w, window_h = extent.amax(dim=0).tolist()
        grids, boxes = self.grids[members].float(), self.boxes[members].float()
        values = sample_windows(grids, boxes, low[groups], window_w, window_h)
        # In double precision, the sum of n equal numbers is exactly n times the number; the
        # threshold is rounded first, as it is when a single mask is compared with it.
        total = values.new_zeros((len(low), window_w, window_h), dtype=torch.float64)
        total.index_add_(0, groups, values.double())
        least = values.new_tensor(threshold).double() * torch.bincount(groups, minlength=len(low))
        foreground = total >= least[:, None, None]
        index, start, length = foreground_runs(foreground, low, extent, self.height)
        return index.cpu().numpy(), start.cpu().numpy(), length.cpu().numpy()


def _chunks(
    groups: Int64Array, sides: Int64Array
) -> Iterator[tuple[Int64Array, Int64Array, Int64Array]]:
    """Split groups, sorted by the side of their windows, so that memory stays bounded.

    Yields:
        The groups of a chunk, the masks that are in them, and the place of each mask's group in
        the chunk.
    """
    order = np.argsort(sides, kind="stable")
    sides = sides[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    by_rank = np.argsort(rank[groups], kind="stable")
    first = np.append(0, np.cumsum(np.bincount(groups, minlength=len(order))[order]))
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
