"""An image of any size at the size of a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.inference.results.result_image import ImageSource

_BLOCK = 2048
"""Pixels of the source that are read at a time, along each side."""


def picture_scale(source: ImageSource, longest: int) -> float:
    """Picture pixels for each image pixel so that the longer side has ``longest`` at most."""
    return min(1.0, longest / max(source.levels[0]))


def reduced_picture(source: ImageSource, scale: float) -> npt.NDArray[np.uint8]:
    """Read an image at a smaller scale, from the smallest stored size that suffices.

    Args:
        source: The image.
        scale: Picture pixels for each pixel of the image; 1 at most.

    Returns:
        (round(H × scale), round(W × scale), 3) uint8, RGB.
    """
    full_width, full_height = source.levels[0]
    width, height = max(1, round(full_width * scale)), max(1, round(full_height * scale))
    level = max(
        (i for i, (w, h) in enumerate(source.levels) if w >= width and h >= height),
        key=lambda i: -source.levels[i][0],
    )
    level_width, level_height = source.levels[level]
    step_x, step_y = level_width / width, level_height / height
    picture = np.empty((height, width, 3), np.uint8)
    side_x, side_y = max(1, int(_BLOCK / step_x)), max(1, int(_BLOCK / step_y))
    for top in range(0, height, side_y):
        bottom = min(top + side_y, height)
        y1, y2 = math.floor(top * step_y), min(math.ceil(bottom * step_y), level_height)
        for left in range(0, width, side_x):
            right = min(left + side_x, width)
            x1, x2 = math.floor(left * step_x), min(math.ceil(right * step_x), level_width)
            region = source.read_level(level, x1, y1, x2, y2).permute(1, 2, 0).numpy()
            if region.shape[:2] != (bottom - top, right - left):
                size = (right - left, bottom - top)
                region = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
            picture[top:bottom, left:right] = region
    return picture
