"""Where a slide holds tissue, so that empty glass need not be searched."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.inference.scaled_image import ScaledImage
from cellseg_mm.readers.image_reader import ImageReader

SMALL = 4_000_000
"""Pixels of an image that is searched as a whole."""

LEAST = 0.005
"""Share of tissue below which the mask is distrusted."""

_THUMBNAIL = 2000
"""Longer side of the thumbnail, pixels."""

_LOWEST, _HIGHEST = 8, 24
"""Limits of Otsu's threshold of saturation, of 255: of an image that is all tissue it would take
the pale half for glass, and of bare glass the noise for tissue."""

_MARGIN = 64
"""Pixels of the image around tissue that are searched as well."""


class Tissue:
    """The parts of an image that are searched.

    Args:
        mask: (h, w) bool, a thumbnail of the image.
        width: Of the image, pixels.
        height: Of the image, pixels.

    Attributes:
        fraction: Share of the image that is searched.
        warnings: Sentences on what was decided.
    """

    def __init__(self, mask: npt.NDArray[np.bool_], width: int, height: int) -> None:
        self._mask = mask
        self._factors = width / mask.shape[1], height / mask.shape[0]
        self.fraction = float(mask.mean())
        self.warnings: list[str] = []

    def touches(self, x1: float, y1: float, x2: float, y2: float) -> bool:
        """Whether a part of the image, in its pixels, has something to search."""
        left, right = math.floor(x1 / self._factors[0]), math.ceil(x2 / self._factors[0])
        top, bottom = math.floor(y1 / self._factors[1]), math.ceil(y2 / self._factors[1])
        return bool(self._mask[max(top, 0) : bottom, max(left, 0) : right].any())


def find_tissue(image: ImageReader) -> Tissue:
    """Find the tissue of an image by its colour, on a thumbnail.

    Glass is grey and tissue is not: the saturation is split by Otsu's threshold (1979), holes are
    closed, and a margin is added. An image of up to 4 million pixels is tissue everywhere, and so,
    with a warning, is one with hardly any.

    Raises:
        UserError: The image is damaged.
    """
    everything = Tissue(np.ones((1, 1), np.bool_), image.width, image.height)
    if image.width * image.height <= SMALL:
        return everything
    reduction = max(image.width, image.height) / _THUMBNAIL
    width = max(round(image.width / reduction), 1)
    height = max(round(image.height / reduction), 1)
    thumbnail = ScaledImage(image, width, height).read(0, 0, width, height)
    rgb = np.ascontiguousarray(thumbnail.permute(1, 2, 0).numpy())
    saturation = cv2.medianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[..., 1], 5)
    otsu, _ = cv2.threshold(saturation, 0, 255, cv2.THRESH_OTSU)
    mask = (saturation > np.clip(otsu, _LOWEST, _HIGHEST)).astype(np.uint8)
    if mask.mean() < LEAST:
        everything.warnings.append(
            f"Hardly any tissue ({mask.mean():.1%}) was found in {image.path}, so all of it was "
            "searched."
        )
        return everything
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    margin = math.ceil(_MARGIN / reduction) + 1
    mask = cv2.dilate(mask, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return Tissue(mask.astype(np.bool_), image.width, image.height)
