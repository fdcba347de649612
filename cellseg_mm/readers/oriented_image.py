"""Images that are stored turned or mirrored."""

from __future__ import annotations

from torch import Tensor

from cellseg_mm.readers.image_reader import ImageReader, Level

ORIENTATION_TAG = 274
"""Of EXIF and of TIFF: 1 is upright, 2 to 8 are the other ways to turn and mirror."""


class OrientedImage(ImageReader):
    """An image as it is meant to be seen.

    Args:
        stored: The image as its pixels are stored.
        orientation: Value of :data:`ORIENTATION_TAG`, from 2 to 8.
    """

    def __init__(self, stored: ImageReader, orientation: int) -> None:
        self._stored = stored
        self._transposed = orientation >= 5
        self._flip_x = orientation in (2, 3, 6, 7)
        self._flip_y = orientation in (3, 4, 7, 8)
        levels = stored.levels
        if self._transposed:
            levels = [Level(level.height, level.width) for level in levels]
        super().__init__(stored.path, levels)
        self.mpp = stored.mpp and (stored.mpp[::-1] if self._transposed else stored.mpp)
        self.warnings = stored.warnings

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        width, height = self.levels[level]
        if self._flip_x:
            x1, x2 = width - x2, width - x1
        if self._flip_y:
            y1, y2 = height - y2, height - y1
        if self._transposed:
            pixels = self._stored.read_level(level, y1, x1, y2, x2).transpose(1, 2)
        else:
            pixels = self._stored.read_level(level, x1, y1, x2, y2)
        flipped = [axis for axis, flip in ((2, self._flip_x), (1, self._flip_y)) if flip]
        return pixels.flip(flipped)
