"""Regions put together from segments (tiles, strips or blocks) that are decoded when needed."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from cellseg_mm.readers.pixel_values import Pixels

CACHED_BYTES = 256 << 20
"""Most decoded segments that are kept; one row of tiles of a slide of 20,000 pixels needs 94 MB."""


class SegmentGrid:
    """A plane of pixels in equal segments.

    Made for regions that come row by row: segments above the region read last are forgotten.

    Args:
        width: Of the plane, pixels.
        segment_width: Pixels; the last segment of a row may be narrower or reach beyond the plane.
        segment_height: As ``segment_width``.
        decode: The pixels of the segment in a row and a column, (h, w, C) uint8.
    """

    def __init__(
        self,
        width: int,
        segment_width: int,
        segment_height: int,
        decode: Callable[[int, int], Pixels],
    ) -> None:
        self.columns = math.ceil(width / segment_width)
        self._width, self._height = segment_width, segment_height
        self._decode = decode
        self._cache: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._cached_bytes = 0

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        """The region: (y2 - y1, x2 - x1, C) uint8."""
        height, width = self._height, self._width
        self._forget_above(y1 // height)
        region: Pixels | None = None
        for row in range(y1 // height, (y2 - 1) // height + 1):
            for column in range(x1 // width, (x2 - 1) // width + 1):
                segment = self._segment(row, column)
                if region is None:
                    region = np.zeros((y2 - y1, x2 - x1, segment.shape[2]), np.uint8)
                top, left = row * height - y1, column * width - x1
                h, w = segment.shape[:2]
                target = region[max(top, 0) : top + h, max(left, 0) : left + w]
                source = segment[max(-top, 0) :, max(-left, 0) :]
                target[:] = source[: target.shape[0], : target.shape[1]]
        if region is None:
            raise ValueError("an empty region")
        return region

    def _forget_above(self, row: int) -> None:
        for place in [place for place in self._cache if place[0] < row]:
            self._cached_bytes -= self._cache.pop(place).nbytes

    def _segment(self, row: int, column: int) -> Pixels:
        """Decode a segment, or take it from those decoded lately."""
        place = (row, column)
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        segment = self._decode(row, column)
        self._cache[place] = segment
        self._cached_bytes += segment.nbytes
        while self._cached_bytes > CACHED_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return segment
