"""An image as a pyramid of JPEG tiles, level by level half as large: Microsoft's Deep Zoom."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.files.rgb_file import encode_rgb
from cellseg_mm.inference.scaled_image import ScaledImage
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.serve.request_error import RequestError

TILE = 512
"""Side of a tile, pixels; tiles do not overlap."""

_KEPT = 2048
"""Levels whose longer side is at most this are kept in memory as a whole."""

_QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 88)


def max_level(width: int, height: int) -> int:
    """The level of the full size; level 0 is one pixel."""
    return (max(width, height) - 1).bit_length()


class DeepZoom:
    """Tiles of an open image. Threads take turns.

    Args:
        image: The image; it must stay open.
    """

    def __init__(self, image: ImageReader) -> None:
        self._image = image
        self._top = max_level(image.width, image.height)
        self._views: dict[int, ScaledImage] = {}
        self._pictures: dict[int, npt.NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    def tile(self, level: int, column: int, row: int) -> bytes:
        """A tile as JPEG.

        Raises:
            RequestError: There is no such tile.
            UserError: The image is damaged there.
        """
        if not 0 <= level <= self._top:
            raise RequestError(404, f"There is no level {level}: the image has 0 to {self._top}.")
        width, height = self._size(level)
        x, y = column * TILE, row * TILE
        if not (0 <= x < width and 0 <= y < height):
            raise RequestError(404, f"There is no tile {column}, {row} in level {level}.")
        with self._lock:
            pixels = self._read(level, x, y, min(x + TILE, width), min(y + TILE, height))
        return encode_rgb(pixels, ".jpg", _QUALITY)

    def _size(self, level: int) -> tuple[int, int]:
        shift = self._top - level
        return -(-self._image.width >> shift), -(-self._image.height >> shift)

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        """(y2 - y1, x2 - x1, 3) uint8, RGB."""
        if max(self._size(level)) <= _KEPT:
            return self._picture(level)[y1:y2, x1:x2]
        if level not in self._views:
            self._views[level] = ScaledImage(self._image, *self._size(level))
        region = self._views[level].read(x1, y1, x2, y2)
        return np.ascontiguousarray(region.permute(1, 2, 0).numpy())

    def _picture(self, level: int) -> npt.NDArray[np.uint8]:
        if level not in self._pictures:
            width, height = self._size(level)
            if level < self._top and max(self._size(level + 1)) <= _KEPT:
                larger = self._picture(level + 1)
                picture = cv2.resize(larger, (width, height), interpolation=cv2.INTER_AREA)
            else:
                whole = ScaledImage(self._image, width, height).read(0, 0, width, height)
                picture = whole.permute(1, 2, 0).contiguous().numpy()
            self._pictures[level] = np.asarray(picture, np.uint8)
        return self._pictures[level]
