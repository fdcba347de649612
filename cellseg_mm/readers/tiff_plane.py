"""The pixels of one page of a TIFF, by region."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.errors import UserError, one_line
from cellseg_mm.readers.pixel_values import Pixels, ToRgb
from cellseg_mm.readers.segment_grid import SegmentGrid

MAX_SEGMENT_BYTES = 2 << 30
"""Most that one segment may take when it is decoded; a file of a few bytes can claim anything."""

JPEG = {6, 7, 33007, 34892}
"""TIFF's codes of JPEG compression."""

_APERIO_YCBCR = 33003
_SAMPLED = 16


class TiffPlane:
    """A page; its segments (tiles or strips) are decoded when a region needs them.

    Args:
        path: The file, for messages.
        page: A ``tifffile.TiffPage``.

    Attributes:
        to_rgb: What becomes of the pixels once they are decoded; set it before the first read.

    Raises:
        UserError: The page cannot be decoded, as far as its tags tell.
    """

    def __init__(self, path: Path, page: Any) -> None:
        self.to_rgb = ToRgb()
        self._path, self._page = path, page
        self._height, self._width = page.imagelength, page.imagewidth
        self._planes, _, _, _, self._samples = page.shaped
        self._segment_width = page.tilewidth if page.is_tiled else self._width
        self._segment_height = page.tilelength if page.is_tiled else page.rowsperstrip
        if min(self._segment_height, self._segment_width, self._height, self._width) < 1:
            raise UserError(f"{path} has tiles, strips or pages without pixels: save it again.")
        if not page.is_tiled:  # rows per strip may be "all", a huge number
            self._segment_height = min(self._segment_height, self._height)
        self._rows = math.ceil(self._height / self._segment_height)
        self._columns = math.ceil(self._width / self._segment_width)
        self._check_segments()
        self._grids = [self._grid(plane) for plane in range(self._planes)]

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        """The region: (channels, y2 - y1, x2 - x1) uint8.

        Raises:
            UserError: A segment is damaged.
        """
        if self._page.is_memmappable:  # perhaps in one segment as large as the image
            stored = [self._stored(plane, x1, y1, x2, y2) for plane in range(self._planes)]
            planes = [self.to_rgb(pixels) for pixels in stored]
        else:
            planes = [grid.read(x1, y1, x2, y2) for grid in self._grids]
        return np.concatenate([plane.transpose(2, 0, 1) for plane in planes])

    def sample(self) -> Iterator[npt.NDArray[Any]]:
        """Pixels as they are stored, (h, w, samples), of up to 16 places all over the page."""
        if self._page.is_memmappable:
            for row in _spread(self._height):
                yield self._stored(0, 0, row, self._width, row + 1)
            return
        for index in _spread(self._planes * self._rows * self._columns):
            if self._page.databytecounts[index]:
                yield self._decode(index)

    def _check_segments(self) -> None:
        page = self._page
        count = self._planes * self._rows * self._columns
        if min(len(page.dataoffsets), len(page.databytecounts)) < count:
            raise UserError(
                f"{self._path} lists {len(page.dataoffsets)} of its {count} tiles or strips: save "
                "it again."
            )
        try:
            tifffile.TIFF.DECOMPRESSORS[page.compression]
        except KeyError:
            raise UserError(
                f"{self._path} is compressed in a way that is not known "
                f"({int(page.compression)}): save it with LZW or JPEG."
            ) from None
        pixels = self._segment_height * self._segment_width * self._samples
        if not page.is_memmappable and pixels * page.dtype.itemsize > MAX_SEGMENT_BYTES:
            raise UserError(
                f"{self._path} is one compressed piece of {self._segment_width}×"
                f"{self._segment_height} pixels: save it as a tiled TIFF."
            )

    def _stored(self, plane: int, x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[Any]:
        """Pixels that are stored without compression, in one piece: (h, w, samples).

        Not by mapping the file: one that is cut short meanwhile would end the process.
        """
        file = self._page.parent.filehandle
        dtype = self._page.dtype.newbyteorder(self._page.parent.byteorder)
        pixel = self._samples * dtype.itemsize
        region = np.empty((y2 - y1, x2 - x1, self._samples), dtype)
        for row in range(y1, y2):
            start = ((plane * self._height + row) * self._width + x1) * pixel
            file.seek(self._page.dataoffsets[0] + start)
            data = file.read((x2 - x1) * pixel)
            if len(data) < (x2 - x1) * pixel:
                raise UserError(f"{self._path} ends before its last pixels: copy it again.")
            region[row - y1] = np.frombuffer(data, dtype).reshape(region.shape[1:])
        return region

    def _grid(self, plane: int) -> SegmentGrid:
        def decode(row: int, column: int) -> Pixels:
            index = (plane * self._rows + row) * self._columns + column
            if self._page.databytecounts[index]:
                return self.to_rgb(self._decode(index))
            # Left out of the file: nothing was scanned there.
            nothing = np.zeros((1, 1, self._samples), self._page.dtype)
            channels = self.to_rgb(nothing).shape[2]
            return np.full((self._segment_height, self._segment_width, channels), 255, np.uint8)

        return SegmentGrid(self._width, self._segment_width, self._segment_height, decode)

    def _decode(self, index: int) -> npt.NDArray[Any]:
        page, file = self._page, self._page.parent.filehandle
        tables = {}
        if page.compression in JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        try:
            file.seek(page.dataoffsets[index])
            size = page.databytecounts[index]
            data = file.read(size)  # first, since page.decode may move the file's position
            if len(data) < size:
                raise ValueError("the file ends before it")
            pixels, *_ = page.decode(data, index, **tables)
        except Exception as error:  # every codec has exceptions of its own
            raise UserError(
                f"Segment {index} of {self._path} cannot be decoded ({one_line(error)}): save the "
                "image again."
            ) from error
        segment: npt.NDArray[Any] = pixels[0]
        if page.compression == _APERIO_YCBCR and page.photometric == tifffile.PHOTOMETRIC.YCBCR:
            ycrcb = np.ascontiguousarray(segment[..., [0, 2, 1]])
            segment = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
        return segment


def _spread(count: int) -> list[int]:
    """Up to 16 numbers below a count, from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(_SAMPLED, count))})
