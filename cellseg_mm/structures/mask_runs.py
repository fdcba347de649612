"""Many masks of one image as runs of foreground pixels: the form in which they are worked on.

Pixels are counted column by column, as COCO's RLE does: pixel (x, y) is number x × height + y.
NumPy and SciPy only: data preparation imports this without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from cellseg_mm.errors import UserError
from cellseg_mm.structures.coco_rle import decode_counts, decode_many, encode_many
from cellseg_mm.structures.planes import InstanceCrop, IntArray

Int64Array = npt.NDArray[np.int64]

_PAIRS_AT_ONCE = 1 << 22
"""Pairs of runs compared at once: bounds the memory (about 60 bytes each)."""

_CASTING_VOTE = 1e-6
"""What the vote of a group's first mask is worth beyond the others'."""


@dataclass(frozen=True, eq=False)
class MaskRuns:
    """The foreground runs of N masks of one image; masks may overlap.

    Attributes:
        starts: (R,) int64, first pixel of each run, mask after mask, rising within a mask.
        ends: (R,) int64, the pixel after each run.
        offsets: (N + 1,) int64: the runs of mask i are those from entry i up to entry i + 1.
        height, width: Of the image, pixels.
    """

    starts: Int64Array
    ends: Int64Array
    offsets: Int64Array
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_rles(cls, rles: Iterable[Mapping[str, Any]], height: int, width: int) -> MaskRuns:
        """Read and check COCO's compressed RLE.

        Args:
            rles: N dicts, ``size`` [height, width] and ``counts`` str.
            height, width: Of the image, pixels.

        Raises:
            UserError: A mask has another size than the image, or its counts are malformed.
        """
        counts = []
        for i, rle in enumerate(rles):
            size, text = rle.get("size"), rle.get("counts")
            if not isinstance(size, Sequence) or list(size) != [height, width]:
                raise UserError(
                    f"Mask {i} has the size {size}, but its image is "
                    f"{[height, width]} (height, width): masks must lie on the original image."
                )
            if not isinstance(text, str):
                raise UserError(
                    f"The counts of mask {i} are a {type(text).__name__}: write COCO's "
                    "compressed RLE as a str."
                )
            counts.append(text)
        return cls.from_counts(counts, height, width)

    @classmethod
    def from_counts(cls, counts: Sequence[str], height: int, width: int) -> MaskRuns:
        """As :meth:`from_rles`, from the ``counts`` alone."""
        try:
            lengths, offsets = decode_many(counts)
        except UserError:
            _name_the_malformed(counts)
            raise
        sums = np.append(0, np.cumsum(lengths))
        totals = np.diff(sums[offsets])
        if (totals != height * width).any():
            wrong = int(np.flatnonzero(totals != height * width)[0])
            raise UserError(
                f"The counts of mask {wrong} cover {totals[wrong]} pixels, but its image has "
                f"{height * width}: write the mask again."
            )
        # Foreground runs are every other one of a mask; some programs write empty ones.
        mask = np.repeat(np.arange(len(counts)), np.diff(offsets))
        foreground = np.flatnonzero(((np.arange(len(lengths)) - offsets[mask]) & 1) & (lengths > 0))
        mask = mask[foreground]
        # Masks follow each other at a distance of one image in the running sum.
        shift = mask * (height * width)
        return cls(
            sums[foreground] - shift,
            sums[foreground + 1] - shift,
            np.append(0, np.cumsum(np.bincount(mask, minlength=len(counts)))),
            height,
            width,
        )

    @classmethod
    def gather(
        cls,
        mask: npt.NDArray[np.integer],
        starts: Int64Array,
        ends: Int64Array,
        shape: tuple[int, int, int],
    ) -> MaskRuns:
        """Sort runs by mask.

        Args:
            mask: (R,) integers, the mask of each run.
            starts: (R,) int64, first pixels, rising within a mask.
            ends: (R,) int64, the pixels after the runs.
            shape: Number of masks, one without a run being empty; height and width of the image.
        """
        count, height, width = shape
        if (mask[1:] < mask[:-1]).any():
            order = np.argsort(mask, kind="stable")
            starts, ends = starts[order], ends[order]
        runs = np.bincount(mask, minlength=count)
        return cls(starts, ends, np.append(0, np.cumsum(runs)), height, width)

    @classmethod
    def from_planes(cls, planes: IntArray, count: int) -> MaskRuns:
        """The masks of the ids 1 … ``count`` of planes (P, H, W); each id lies in one plane."""
        _, height, width = planes.shape
        # Columns of one plane after the other: a run ends where the id or the plane changes.
        pixels = planes.transpose(0, 2, 1).reshape(len(planes), -1)
        is_start = np.ones(pixels.shape, bool)
        np.not_equal(pixels[:, 1:], pixels[:, :-1], out=is_start[:, 1:])
        starts = np.flatnonzero(is_start)
        ends = np.append(starts[1:], pixels.size)
        ids = pixels.ravel()[starts].astype(np.int64)
        plane = starts // (height * width) * (height * width)
        chosen = ids > 0
        runs = (ids - 1)[chosen], (starts - plane)[chosen], (ends - plane)[chosen]
        return cls.gather(*runs, (count, height, width))

    def encode(self) -> list[str]:
        """N strings, the ``counts`` of COCO's RLE dicts; equal to pycocotools'."""
        runs = np.diff(self.offsets)
        filled = runs > 0
        # Background before each run: from the end of the run before it, or from pixel 0.
        before = np.append(0, self.ends)[:-1]
        before[self.offsets[:-1][filled]] = 0
        # Background after the last run; COCO leaves it out when it is empty.
        tail = np.full(len(self), self.height * self.width)
        tail[filled] -= self.ends[self.offsets[1:][filled] - 1]
        offsets = np.append(0, np.cumsum(2 * runs + (tail > 0)))
        lengths = np.empty(offsets[-1], np.int64)
        place = 2 * np.arange(len(self.starts)) + np.repeat(
            offsets[:-1] - 2 * self.offsets[:-1], runs
        )
        lengths[place] = self.starts - before
        lengths[place + 1] = self.ends - self.starts
        lengths[offsets[1:][tail > 0] - 1] = tail[tail > 0]
        return encode_many(lengths, offsets)

    def first(self, number: int) -> MaskRuns:
        """The first masks of the list."""
        offsets = self.offsets[: number + 1]
        end = offsets[-1]
        return MaskRuns(self.starts[:end], self.ends[:end], offsets, self.height, self.width)

    def take(self, numbers: Int64Array) -> MaskRuns:
        """The masks of these numbers, from 0, in their order; one may come several times."""
        runs = np.diff(self.offsets)[numbers]
        passed = np.cumsum(runs) - runs
        chosen = np.arange(runs.sum()) + np.repeat(self.offsets[numbers] - passed, runs)
        offsets = np.append(0, np.cumsum(runs))
        return MaskRuns(self.starts[chosen], self.ends[chosen], offsets, self.height, self.width)

    @cached_property
    def areas(self) -> Int64Array:
        """(N,) int64, pixels of each mask."""
        return np.diff(np.append(0, np.cumsum(self.ends - self.starts))[self.offsets])

    @cached_property
    def owners(self) -> Int64Array:
        """(R,) int64, the mask that each run belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

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

    @cached_property
    def pixels(self) -> Int64Array:
        """(A,) int64, the pixels of all masks, mask after mask, rising within a mask."""
        lengths = self.ends - self.starts
        passed = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(self.starts - passed, lengths)

    @cached_property
    def centroids(self) -> npt.NDArray[np.float64]:
        """(N, 2) float64, mean (x, y) of the pixel indices; NaN for a mask without a pixel."""
        owners = np.repeat(np.arange(len(self)), self.areas)
        sums = [
            np.bincount(owners, weights=values, minlength=len(self))
            for values in np.divmod(self.pixels, self.height)
        ]
        with np.errstate(invalid="ignore"):
            return np.stack(sums, axis=1) / self.areas[:, None]

    def split_pixels(self) -> list[Int64Array]:
        """The pixels of each mask."""
        bounds = np.append(0, np.cumsum(self.areas)).tolist()
        return [self.pixels[a:b] for a, b in pairwise(bounds)]

    def crops(self) -> Iterator[InstanceCrop]:
        """The masks as bitmaps inside their boxes, with ids 1 … N; an empty one has no pixel."""
        boxes = self.boxes.tolist()
        for i, (pixels, (x1, y1, x2, y2)) in enumerate(
            zip(self.split_pixels(), boxes, strict=True), start=1
        ):
            bitmap = np.zeros((y2 - y1, x2 - x1), bool)
            column, row = np.divmod(pixels, self.height)
            bitmap[row - y1, column - x1] = True
            yield InstanceCrop(i, y1, x1, bitmap)

    def shared_pixels(self, other: MaskRuns) -> csr_array:
        """Pixels that each mask shares with each of another list: a sparse (N, M) int64 matrix.

        Raises:
            UserError: The masks lie on images of different sizes.
        """
        if (self.height, self.width) != (other.height, other.width):
            raise UserError(
                f"Masks lie on {self.height}×{self.width} and on {other.height}×{other.width} "
                "pixels: they must share one image."
            )
        table = csr_array((len(self), len(other)), dtype=np.int64)
        own, others = self._in_pixel_order(), other._in_pixel_order()
        # Two runs overlap if one starts within the other. A start in common counts once.
        for row, column, pixels in _runs_that_start_within(own, others, "left"):
            table += coo_array((pixels, (row, column)), shape=table.shape).tocsr()
        for column, row, pixels in _runs_that_start_within(others, own, "right"):
            table += coo_array((pixels, (row, column)), shape=table.shape).tocsr()
        return table

    def _in_pixel_order(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Starts, ends and owners of the runs by rising start."""
        order = np.argsort(self.starts, kind="stable")
        return self.starts[order], self.ends[order], self.owners[order]

    def vote(self, groups: Int64Array, threshold: float) -> MaskRuns:
        """Fuse the masks of each group: a pixel is in where enough of them have it.

        Args:
            groups: (N,) int64, group 0 … G - 1 of each mask; -1 leaves a mask out.
            threshold: Share of the group's masks, above 0, that a pixel needs. Where exactly this
                share has it, the first mask of the group decides.

        Returns:
            G masks.
        """
        count = int(groups.max(initial=-1)) + 1
        sizes = np.bincount(groups[groups >= 0], minlength=count)
        votes = np.ones(len(groups))
        votes[np.unique(groups, return_index=True)[1]] += _CASTING_VOTE
        group = groups[self.owners]
        chosen = group >= 0
        step = votes[self.owners[chosen]]
        step = np.concatenate([step, -step])
        group = np.tile(group[chosen], 2)
        position = np.concatenate([self.starts[chosen], self.ends[chosen]])
        order = np.argsort(group * (self.height * self.width + 1) + position, kind="stable")
        group, position, total = group[order], position[order], np.cumsum(step[order])
        # What counts is the number of votes after all changes at a position.
        settled = np.append((np.diff(position) != 0) | (np.diff(group) != 0), True)
        settled = settled[: len(group)]
        group, position, total = group[settled], position[settled], total[settled]
        inside = total > threshold * sizes[group] + _CASTING_VOTE / 2
        changes = np.flatnonzero(np.diff(inside, prepend=False))
        start, end = changes[::2], changes[1::2]
        return MaskRuns.gather(
            group[start], position[start], position[end], (count, self.height, self.width)
        )


def _runs_that_start_within(
    outer: tuple[Int64Array, Int64Array, Int64Array],
    inner: tuple[Int64Array, Int64Array, Int64Array],
    side: Literal["left", "right"],
) -> Iterator[tuple[Int64Array, Int64Array, Int64Array]]:
    """For each run that starts within another: owner of the outer and inner one, pixels they share.

    Args:
        outer: Starts, ends and owners of the outer runs, in pixel order.
        inner: The same of the runs that start within them.
        side: "left" if a run that starts where the outer one does counts, "right" if not.
    """
    outer_starts, outer_ends, outer_owners = outer
    starts, ends, owners = inner
    low = np.searchsorted(starts, outer_starts, side=side)
    numbers = np.searchsorted(starts, outer_ends) - low
    passed = np.cumsum(numbers) - numbers
    bounds = np.unique(passed // _PAIRS_AT_ONCE, return_index=True)[1].tolist()
    for begin, end in pairwise([*bounds, len(numbers)]):
        part = slice(begin, end)
        chosen = np.repeat(low[part] - passed[part] + passed[begin], numbers[part])
        chosen += np.arange(len(chosen))
        outer_ends_of_pairs = np.repeat(outer_ends[part], numbers[part])
        yield (
            np.repeat(outer_owners[part], numbers[part]),
            owners[chosen],
            np.minimum(outer_ends_of_pairs, ends[chosen]) - starts[chosen],
        )


def _name_the_malformed(counts: Iterable[str]) -> None:
    for i, text in enumerate(counts):
        try:
            decode_counts(text)
        except UserError as error:
            raise UserError(f"Mask {i} is malformed: {error}") from None
