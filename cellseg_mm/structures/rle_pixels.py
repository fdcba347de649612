"""The pixels of many RLE masks of one image as one flat array: no mask becomes a bitmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.structures.coco_rle import decode_counts, decode_many

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RlePixels:
    """N masks of one image as lists of pixels.

    Attributes:
        height: Image height, pixels.
        width: Image width, pixels.
        pixels: (A,) int64, the foreground pixels of all masks, mask after mask, as column-major
            positions (column × height + row), rising within a mask.
        offsets: (N + 1,) int64: the pixels of mask i are those from entry i up to entry i + 1.
    """

    height: int
    width: int
    pixels: Int64Array
    offsets: Int64Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def first(self, number: int) -> RlePixels:
        """The first masks of the list."""
        offsets = self.offsets[: number + 1]
        return RlePixels(self.height, self.width, self.pixels[: offsets[-1]], offsets)

    @cached_property
    def areas(self) -> Int64Array:
        """(N,) int64, pixels of each mask."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> Int64Array:
        """(A,) int64, the mask that each pixel belongs to."""
        return np.repeat(np.arange(len(self)), self.areas)

    @cached_property
    def boxes(self) -> Int64Array:
        """(N, 4) int64, tight boxes xywh in pixels; all zeros for an empty mask."""
        boxes = np.zeros((len(self), 4), np.int64)
        filled = self.areas > 0
        starts = self.offsets[:-1][filled]
        if starts.size:
            for axis, values in enumerate((self.pixels // self.height, self.pixels % self.height)):
                low = np.minimum.reduceat(values, starts)
                boxes[filled, axis] = low
                boxes[filled, axis + 2] = np.maximum.reduceat(values, starts) + 1 - low
        return boxes

    @cached_property
    def centroids(self) -> npt.NDArray[np.float64]:
        """(N, 2) float64, mean (x, y) of the pixel indices; NaN for an empty mask."""
        sums = [
            np.bincount(self.owners, weights=values, minlength=len(self))
            for values in (self.pixels // self.height, self.pixels % self.height)
        ]
        with np.errstate(invalid="ignore"):
            return np.stack(sums, axis=1) / self.areas[:, None]


def rle_pixels(rles: Sequence[Mapping[str, Any]], height: int, width: int) -> RlePixels:
    """Read RLE masks into pixel lists, at a cost linear in the foreground pixels.

    Args:
        rles: N of COCO's RLE dicts, ``size`` [height, width] and ``counts`` str.
        height: Image height, pixels.
        width: Image width, pixels.

    Returns:
        The pixels of the N masks.

    Raises:
        ValueError: A mask has another size than the image, or its counts are malformed.
    """
    if not len(rles):
        return RlePixels(height, width, np.zeros(0, np.int64), np.zeros(1, np.int64))
    lengths, run_offsets = _read_runs(rles, height, width)
    totals = np.diff(np.append(0, np.cumsum(lengths))[run_offsets])
    if (totals != height * width).any():
        wrong = int(np.flatnonzero(totals != height * width)[0])
        raise UserError(
            f"The counts of mask {wrong} cover {totals[wrong]} pixels, but its image has "
            f"{height * width}: write the mask again."
        )
    run_owners = np.repeat(np.arange(len(rles)), np.diff(run_offsets))
    place = np.arange(len(lengths)) - run_offsets[run_owners]
    # Masks follow each other at a distance of one image in the running sum.
    starts = np.cumsum(lengths) - lengths - run_owners * (height * width)
    foreground = place % 2 == 1
    run_starts, run_lengths = starts[foreground], lengths[foreground]
    ends = np.cumsum(run_lengths)
    pixels = np.arange(ends[-1] if ends.size else 0)
    pixels += np.repeat(run_starts - (ends - run_lengths), run_lengths)
    areas = np.bincount(run_owners[foreground], weights=run_lengths, minlength=len(rles))
    return RlePixels(height, width, pixels, np.append(0, np.cumsum(areas)).astype(np.int64))


def _read_runs(
    rles: Sequence[Mapping[str, Any]], height: int, width: int
) -> tuple[Int64Array, Int64Array]:
    """Run lengths of all masks and where each mask's begin."""
    counts = []
    for i in range(len(rles)):
        rle = rles[i]
        if list(rle["size"]) != [height, width]:
            raise UserError(
                f"Mask {i} has the size {list(rle['size'])}, but its image is {[height, width]} "
                "(height, width): masks must lie on the original image."
            )
        if not isinstance(rle["counts"], str):
            raise UserError(
                f"The counts of mask {i} are a {type(rle['counts']).__name__}: write COCO's "
                "compressed RLE as a str."
            )
        counts.append(rle["counts"])
    try:
        return decode_many(counts)
    except ValueError:
        for i, text in enumerate(counts):
            try:
                decode_counts(text)
            except ValueError as error:
                raise UserError(f"Mask {i} is malformed: {error}") from None
        raise
