"""An image in pixels of the size that a model was trained with."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.pixel_values import Pixels
from cellseg_mm.readers.scale import LARGEST, SAME, SMALLEST, Scale
from cellseg_mm.readers.segment_grid import SegmentGrid

_BLOCK = 512
"""Side of a block of a view, pixels."""

_MAX_SOURCE = 2048
"""Side of the source of a block, pixels; blocks of thumbnails are smaller to keep to it."""


class ScaledImage:
    """A view of an image in larger or smaller pixels, by Lanczos' window.

    docs/reading-images.md measures how many cells it loses, and other windows.

    It is computed in blocks of a fixed grid, so regions that are put together equal the whole.

    Args:
        image: The image; it must stay open.
        width: Of the view, pixels.
        height: Of the view, pixels.

    Attributes:
        width: Pixels.
        height: Pixels.
        factors: Pixels of the image's full resolution in one of the view, in x and y: a place
            (x, y) of the view lies at (x · factors[0], y · factors[1]) of the image.
        warnings: Those of the image, and what was decided about its scale.
    """

    def __init__(self, image: ImageReader, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.factors = (image.width / width, image.height / height)
        self.warnings = list(image.warnings)
        self._image = image
        # The smallest stored size that still has all details.
        self._level = max(
            (
                index
                for index, level in enumerate(image.levels)
                if level.width >= width * (1 - SAME) and level.height >= height * (1 - SAME)
            ),
            key=lambda index: -image.levels[index].width,
            default=0,
        )
        level = image.levels[self._level]
        reduction = max(level.width / width, level.height / height)
        self._side = max(min(_BLOCK, int(_MAX_SOURCE / reduction)), 1)
        self._blocks = SegmentGrid(width, self._side, self._side, self._resample)

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """The region from (x1, y1) up to (x2, y2): (3, y2 - y1, x2 - x1) uint8, RGB.

        Raises:
            UserError: The file is damaged there, or has changed since it was opened.
            ValueError: The region is empty or leaves the view.
        """
        if not (0 <= x1 < x2 <= self.width and 0 <= y1 < y2 <= self.height):
            raise ValueError(
                f"The region ({x1}, {y1}, {x2}, {y2}) is empty or leaves the {self.width}×"
                f"{self.height} pixels of the view."
            )
        level = self._image.levels[self._level]
        if level == (self.width, self.height):
            return self._image.read_level(self._level, x1, y1, x2, y2)
        return torch.from_numpy(self._blocks.read(x1, y1, x2, y2)).permute(2, 0, 1).contiguous()

    def _resample(self, row: int, column: int) -> Pixels:
        """A block of the view: (h, w, 3)."""
        level = self._image.levels[self._level]
        factors = level.width / self.width, level.height / self.height
        side = self._side
        x, y = column * side, row * side
        size = min(side, self.width - x), min(side, self.height - y)
        left, right, box_x = _window(x, x + size[0], factors[0], level.width)
        top, bottom, box_y = _window(y, y + size[1], factors[1], level.height)
        source = self._image.read_level(self._level, left, top, right, bottom)
        picture = Image.fromarray(source.permute(1, 2, 0).contiguous().numpy())
        box = (box_x[0], box_y[0], box_x[1], box_y[1])
        # Beyond a third, the mean of whole pixels comes first, which is faster and hardly differs.
        return np.array(picture.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3))


def _window(
    start: int, stop: int, factor: float, length: int
) -> tuple[int, int, tuple[float, float]]:
    """What an axis needs of its source: first pixel, end, and the exact place inside of these."""
    support = 3 * max(factor, 1) + 1  # pixels that Lanczos' window reaches
    low, high = start * factor, min(stop * factor, length)
    first, end = max(math.floor(low - support), 0), min(math.ceil(high + support), length)
    return first, end, (low - first, high - first)


def at_mpp(
    image: ImageReader, model_mpp: float, mpp: float | tuple[float, float] | None = None
) -> ScaledImage:
    """The image at a model's scale.

    Args:
        image: The image; it must stay open.
        model_mpp: µm per pixel that the model was trained with.
        mpp: µm per pixel of the image, if it is not as the file says; or in x and in y.

    Returns:
        A view. An image within 2 % of the model's scale is not resampled. One of an unknown scale
        is taken as of the model's, which the view's warnings say.

    Raises:
        UserError: ``mpp`` is no scale at which cells can be seen.
    """
    if mpp is not None:
        x, y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
        if not all(SMALLEST <= value <= LARGEST for value in (x, y)):
            raise UserError(
                f"The scale of {x:g} × {y:g} µm per pixel was stated for {image.path}, but it must "
                f"lie between {SMALLEST} and {LARGEST}."
            )
    scale: Scale | None = image.mpp if mpp is None else (x, y)
    factors = (1.0, 1.0) if scale is None else (scale[0] / model_mpp, scale[1] / model_mpp)
    if all(abs(factor - 1) <= SAME for factor in factors):
        view = ScaledImage(image, image.width, image.height)
    else:
        width, height = image.width * factors[0], image.height * factors[1]
        view = ScaledImage(image, max(round(width), 1), max(round(height), 1))
    if scale is None:
        view.warnings.append(
            f"{image.path} does not say how large its pixels are; they were taken as {model_mpp:g} "
            "µm wide, as the model's are, and cells are missed if they are not: state the scale."
        )
    return view
