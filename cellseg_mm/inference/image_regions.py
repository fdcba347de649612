"""Images read by region, so that a slide of any size takes little memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
import torch
from torch import Tensor

from cellseg_mm.errors import MissingFileError, UserError

Pixels = npt.NDArray[np.uint8]

_CACHED_BYTES = 256 << 20
"""Most decoded segments that are kept; one row of tiles of a slide of 20,000 pixels needs 94 MB."""

_RGB, _YCBCR, _GREY = (
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.MINISBLACK,
)
_JPEG = {6, 7, 33007, 34892}
"""TIFF's codes of JPEG compression."""


class ImageRegions(Protocol):
    """An open image.

    Attributes:
        height: Pixels.
        width: Pixels.
    """

    height: int
    width: int

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """The region from (x1, y1) up to (x2, y2): (3, y2 - y1, x2 - x1) uint8, RGB."""


@contextmanager
def open_regions(path: Path, channel_order: str = "rgb") -> Iterator[ImageRegions]:
    """Open an image to read regions of it.

    Of a TIFF, tiled or in strips, only the segments that a region touches are decoded, and of its
    pages the largest one is taken. Other formats (PNG, JPEG) are decoded as a whole. Grey becomes
    RGB, and transparency is left out.

    Args:
        path: The image, 8 bits a channel.
        channel_order: "rgb", or "bgr" for a file that has red and blue swapped.

    Raises:
        FileNotFoundError: The image does not exist.
        ValueError: It is damaged, has no 8-bit grey or RGB pixels, or is of an unknown format.
    """
    if not path.is_file():
        raise MissingFileError(f"The image {path} does not exist.")
    swap = channel_order == "bgr"
    if not _is_tiff(path):
        yield _WholeImage(path, swap)
        return
    try:
        file = tifffile.TiffFile(path)
    except Exception as error:  # a damaged header fails in many ways
        raise UserError(f"{path} is not a readable TIFF ({error}): save it again.") from error
    with file:
        pages = [page.aspage() for page in file.pages]
        largest = max(pages, key=lambda page: page.imagewidth * page.imagelength)
        yield _TiffRegions(path, largest, swap)


class _WholeImage:
    """An image that is held in memory."""

    def __init__(self, path: Path, swap: bool) -> None:
        try:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        except cv2.error as error:  # more pixels than OpenCV takes
            raise UserError(
                f"{path} cannot be decoded as a whole ({error.err}): save it as a tiled TIFF."
            ) from error
        if image is None:
            raise UserError(f"{path} is not an image that can be read: give a PNG, JPEG or TIFF.")
        _check_depth(path, image.dtype)
        pixels = torch.from_numpy(image)
        self._pixels = (pixels if swap else pixels.flip(2)).permute(2, 0, 1)  # OpenCV gives BGR
        self.height, self.width = image.shape[:2]

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        return self._pixels[:, y1:y2, x1:x2].contiguous()


class _TiffRegions:
    """A page of a TIFF; its segments (tiles or strips) are decoded when a region needs them.

    Made for regions that come row by row: segments above the region read last are forgotten.
    """

    def __init__(self, path: Path, page: Any, swap: bool) -> None:
        _check_depth(path, page.dtype)
        known = page.photometric in (_RGB, _GREY) or (
            page.photometric == _YCBCR and page.compression in _JPEG  # decoded to RGB
        )
        if not known or page.imagedepth != 1:
            raise UserError(
                f"{path} holds pixels of the kind {page.photometric.name}, but grey or RGB is "
                "needed: convert it."
            )
        self.height, self.width = page.imagelength, page.imagewidth
        self._path = path
        self._page = page
        self._swap = swap
        self._planes, _, _, _, self._samples = page.shaped
        self._segment_height = page.tilelength if page.is_tiled else page.rowsperstrip
        self._segment_width = page.tilewidth if page.is_tiled else page.imagewidth
        self._columns = math.ceil(self.width / self._segment_width)
        self._rows = math.ceil(self.height / self._segment_height)
        self._cache: OrderedDict[int, Pixels] = OrderedDict()
        self._cached_bytes = 0

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """See :class:`ImageRegions`.

        Raises:
            ValueError: A segment is damaged, or its compression is not known.
        """
        region = np.zeros((self._planes, y2 - y1, x2 - x1, self._samples), np.uint8)
        if self._page.is_memmappable:  # raw, and perhaps in one segment as large as the image
            shape = (self._planes, self.height, self.width, self._samples)
            # Mapped anew each time: pages that a mapping has touched count as this process' memory.
            raw = np.memmap(self._path, np.uint8, "r", self._page.dataoffsets[0], shape)
            region[:] = raw[:, y1:y2, x1:x2]
        else:
            height, width = self._segment_height, self._segment_width
            self._forget_above(y1 // height)
            for plane in range(self._planes):
                for row in range(y1 // height, (y2 - 1) // height + 1):
                    for column in range(x1 // width, (x2 - 1) // width + 1):
                        segment = self._segment((plane * self._rows + row) * self._columns + column)
                        top, left = row * height - y1, column * width - x1
                        h, w = segment.shape[:2]
                        target = region[plane, max(top, 0) : top + h, max(left, 0) : left + w]
                        source = segment[max(-top, 0) :, max(-left, 0) :]
                        target[:] = source[: target.shape[0], : target.shape[1]]
        channels = region.transpose(0, 3, 1, 2).reshape(-1, y2 - y1, x2 - x1)
        first = min(3, len(channels)) if self._page.photometric != _GREY else 1
        rgb = torch.from_numpy(channels[:first].copy()).expand(3, -1, -1)
        return rgb.flip(0) if self._swap else rgb

    def _forget_above(self, row: int) -> None:
        for index in [i for i in self._cache if i // self._columns % self._rows < row]:
            self._cached_bytes -= self._cache.pop(index).nbytes

    def _segment(self, index: int) -> Pixels:
        """Decode a segment, or take it from those decoded lately: (h, w, samples)."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        segment = self._decode(index)
        self._cache[index] = segment
        self._cached_bytes += segment.nbytes
        while self._cached_bytes > _CACHED_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return segment

    def _decode(self, index: int) -> Pixels:
        page, file = self._page, self._page.parent.filehandle
        size = page.databytecounts[index]
        if not size:  # left out of the file: nothing was scanned there
            shape = (self._segment_height, self._segment_width, self._samples)
            return np.full(shape, 255, np.uint8)
        tables = {}
        if page.compression in _JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        try:
            file.seek(page.dataoffsets[index])
            data = file.read(size)  # first, since page.decode may move the file's position
            pixels, *_ = page.decode(data, index, **tables)
        except Exception as error:  # every codec has exceptions of its own
            raise UserError(
                f"Segment {index} of {self._path} cannot be decoded ({error}): save the image "
                "again."
            ) from error
        segment: Pixels = pixels[0]
        return segment


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _check_depth(path: Path, dtype: Any) -> None:
    if dtype != np.uint8:
        raise UserError(f"{path} has {dtype} pixels, but 8 bits a channel are needed: convert it.")
