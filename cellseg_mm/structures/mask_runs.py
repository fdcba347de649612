"""Many RLE masks as runs of foreground pixels: overlaps and votes without a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cellseg_mm.structures.coco_rle import decode_many, encode_foreground
from cellseg_mm.structures.rle_masks import RLEMasks

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskRuns:
    """The foreground runs of N masks of one image.

    Attributes:
        starts: (R,) int64, first pixel of each run, mask after mask, rising within a mask; pixels
            are counted column by column, as COCO's RLE does.
        ends: (R,) int64, the pixel after each run.
        offsets: (N + 1,) int64: the runs of mask i are those from entry i up to entry i + 1.
        height: Image height, pixels.
        width: Image width, pixels.
    """

    starts: Int64Array
    ends: Int64Array
    offsets: Int64Array
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_rle(cls, masks: RLEMasks) -> MaskRuns:
        """Read the runs of all masks.

        Raises:
            ValueError: A mask's string is malformed.
        """
        lengths, offsets = decode_many(masks.counts)
        mask = np.repeat(np.arange(len(masks)), np.diff(offsets))
        # Masks follow each other at a distance of one image in the running sum.
        ends = np.cumsum(lengths) - mask * (masks.height * masks.width)
        foreground = ((np.arange(len(lengths)) - offsets[mask]) % 2 == 1) & (lengths > 0)
        runs = np.bincount(mask[foreground], minlength=len(masks))
        return cls(
            (ends - lengths)[foreground],
            ends[foreground],
            np.append(0, np.cumsum(runs)).astype(np.int64),
            masks.height,
            masks.width,
        )

    @cached_property
    def areas(self) -> Int64Array:
        """(N,) int64, pixels of each mask."""
        return np.diff(np.append(0, np.cumsum(self.ends - self.starts))[self.offsets])

    @cached_property
    def boxes(self) -> Int64Array:
        """(N, 4) int64, tight boxes xyxy in pixels; all zeros for a mask without a pixel."""
        boxes = np.zeros((len(self), 4), np.int64)
        filled = np.diff(self.offsets) > 0
        first = self.offsets[:-1][filled]
        if first.size:
            left, top = np.divmod(self.starts, self.height)
            right, bottom = np.divmod(self.ends - 1, self.height)
            wraps = left < right  # from the foot of a column to the head of another
            boxes[filled, 0] = np.minimum.reduceat(left, first)
            boxes[filled, 1] = np.minimum.reduceat(np.where(wraps, 0, top), first)
            boxes[filled, 2] = np.maximum.reduceat(right, first) + 1
            below = np.where(wraps, self.height - 1, bottom)
            boxes[filled, 3] = np.maximum.reduceat(below, first) + 1
        return boxes

    def intersections(self, mask: int, others: Int64Array) -> Int64Array:
        """Pixels that one mask, which has some, shares with each of others.

        Args:
            mask: Index of the one.
            others: (M,) indices of masks with at least one pixel.

        Returns:
            (M,) int64.
        """
        own = slice(self.offsets[mask], self.offsets[mask + 1])
        bounds = np.stack([self.starts[own], self.ends[own]], axis=1).ravel()
        # How many pixels of the mask lie before a position: rises by one a pixel within its runs.
        before = np.zeros(len(bounds))
        before[1::2] = np.cumsum(bounds[1::2] - bounds[::2])
        before[2::2] = before[1:-1:2]
        run_counts = np.diff(self.offsets)[others]
        first = np.cumsum(run_counts) - run_counts
        runs = np.arange(run_counts.sum()) + np.repeat(self.offsets[others] - first, run_counts)
        shared = np.interp(self.ends[runs], bounds, before)
        shared -= np.interp(self.starts[runs], bounds, before)
        return np.add.reduceat(shared, first).astype(np.int64)

    def vote(self, groups: Int64Array, threshold: float) -> RLEMasks:
        """Fuse the masks of each group: a pixel is in where enough of them have it.

        Args:
            groups: (N,) int64, group 0 … G - 1 of each mask; -1 leaves a mask out.
            threshold: Share of the group's masks, above 0, that a pixel needs at least.

        Returns:
            G masks.
        """
        count = int(groups.max(initial=-1)) + 1
        sizes = np.bincount(groups[groups >= 0], minlength=count)
        group = np.repeat(groups, np.diff(self.offsets))
        chosen = group >= 0
        group = np.tile(group[chosen], 2)
        position = np.concatenate([self.starts[chosen], self.ends[chosen]])
        step = np.repeat([1, -1], len(group) // 2)
        order = np.lexsort((position, group))
        group, position, votes = group[order], position[order], np.cumsum(step[order])
        # What counts is the number of votes after all changes at a position.
        settled = np.append((np.diff(position) != 0) | (np.diff(group) != 0), True)
        settled = settled[: len(group)]
        group, position, votes = group[settled], position[settled], votes[settled]
        inside = votes >= threshold * sizes[group]
        changes = np.flatnonzero(np.diff(inside, prepend=False))
        start, end = changes[::2], changes[1::2]
        return RLEMasks(
            encode_foreground(
                group[start],
                position[start],
                position[end] - position[start],
                count,
                self.height * self.width,
            ),
            self.height,
            self.width,
        )
