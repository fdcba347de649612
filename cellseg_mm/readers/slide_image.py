"""Slides of scanners, by OpenSlide: SVS, NDPI, MRXS, SCN, BIF, DICOM, CZI and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.readers import scale
from cellseg_mm.readers.image_reader import ImageReader, Level
from cellseg_mm.readers.pixel_values import Pixels, over_white
from cellseg_mm.readers.segment_grid import SegmentGrid

_BLOCK = 1024


def vendor_of(path: Path) -> str | None:
    """OpenSlide's name of the slide's kind; None if it is none, or OpenSlide is not installed.

    A TIFF that no scanner's program wrote counts as none: OpenSlide reads it without its scale or
    its levels.
    """
    try:
        import openslide  # takes a while to load
    except (ImportError, OSError):  # OSError: the package without its library
        return None
    vendor: str | None = openslide.OpenSlide.detect_format(path)
    return None if vendor == "generic-tiff" else vendor


class SlideImage(ImageReader):
    """A slide; of its frame only the part that was scanned, as in QuPath.

    Args:
        path: The file, of a kind that :func:`vendor_of` knows.

    Raises:
        UserError: It is damaged or incomplete.
    """

    def __init__(self, path: Path) -> None:
        import openslide

        try:
            self._slide: Any = openslide.OpenSlide(path)
        except openslide.OpenSlideError as error:
            raise UserError(
                f"{path} is not a complete slide ({error}): copy it again, with the files and "
                "folders that belong to it."
            ) from error
        x, y, width, height = self._scanned_part()
        self._downsamples = self._slide.level_downsamples
        levels = [Level(*size) for size in self._slide.level_dimensions]
        if (width, height) != levels[0]:
            levels = [
                Level(max(int(width / factor), 1), max(int(height / factor), 1))
                for factor in self._downsamples
            ]
        super().__init__(path, levels)
        self.origin = (x, y)
        properties = self._slide.properties
        mpp = [float(properties.get(f"openslide.mpp-{axis}", "nan")) for axis in "xy"]
        self.mpp = scale.plausible(mpp[0], mpp[1])
        self._grids = [self._grid(level) for level in range(len(levels))]

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def _scanned_part(self) -> tuple[int, int, int, int]:
        """x, y, width and height in the slide's frame."""
        width, height = self._slide.dimensions
        names = [f"openslide.bounds-{key}" for key in ("x", "y", "width", "height")]
        if not all(name in self._slide.properties for name in names):
            return 0, 0, width, height
        x, y, w, h = (int(self._slide.properties[name]) for name in names)
        inside = 0 <= x < x + w <= width and 0 <= y < y + h <= height
        return (x, y, w, h) if inside else (0, 0, width, height)

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        if level == 0:
            pixels = self._region(level, x1, y1, x2, y2)
        else:
            pixels = self._grids[level].read(x1, y1, x2, y2)
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def _grid(self, level: int) -> SegmentGrid:
        """Blocks of a level.

        OpenSlide takes corners in whole pixels of level 0, and interpolates where a level's pixels
        begin between them, so a pixel would depend on the region it is read with.
        """
        width, height = self.levels[level]

        def decode(row: int, column: int) -> Pixels:
            x, y = column * _BLOCK, row * _BLOCK
            return self._region(level, x, y, min(x + _BLOCK, width), min(y + _BLOCK, height))

        return SegmentGrid(width, _BLOCK, _BLOCK, decode)

    def _region(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        factor = self._downsamples[level]
        corner = (round(self.origin[0] + x1 * factor), round(self.origin[1] + y1 * factor))
        pixels = np.array(self._slide.read_region(corner, level, (x2 - x1, y2 - y1)))
        return over_white(pixels[..., :3], pixels[..., 3:])
