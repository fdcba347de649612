"""Jitter of the stains of H&E images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS

from cellseg_mm.errors import UserError

# Optical densities of haematoxylin, eosin and DAB in red, green and blue: A. C. Ruifrok and
# D. A. Johnston, "Quantification of histochemical staining by color deconvolution", Analytical and
# Quantitative Cytology and Histology 23 (2001), 291-299.
_STAINS_RGB = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])

# One is added to levels, so that black has a density too.
_DENSITIES = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)


@TRANSFORMS.register_module()
class HEDJitter(BaseTransform):
    """Change how strong haematoxylin, eosin and the rest are, as other laboratories would stain.

    The image is separated into stains by colour deconvolution, the amount c of each becomes
    a·c + b, and they are put together again (D. Tellez et al., IEEE Transactions on Medical Imaging
    37 (2018), 2126-2136). As all of this is linear in the optical density, it takes one 3×3 matrix.

    Albumentations' HEStain fits an image with two stains, which changes its hue even without
    jitter, and takes many times as long.

    Random numbers come from NumPy's global generator.

    Required Keys:

    - img (np.uint8, BGR)

    Modified Keys:

    - img

    Args:
        scale: The factor a is drawn from 1 - scale … 1 + scale, for each stain.
        shift: The offset b is drawn from -shift … shift, in units of optical density (natural
            logarithm); it tints the glass as well.
        prob: Share of the images that are changed.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, scale: float = 0.2, shift: float = 0.02, prob: float = 0.5) -> None:
        if not 0 <= scale < 1:
            raise UserError(f"scale={scale}: set 0 to below 1, so that no stain turns negative.")
        if shift < 0:
            raise UserError(f"shift={shift}: it is the width of a range, so set 0 or more.")
        if not 0 <= prob <= 1:
            raise UserError(f"prob={prob}: it is a share, so set 0 to 1.")
        self.scale = scale
        self.shift = shift
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the image of ``results`` and return them."""
        rng = np.random.default_rng(np.random.randint(1 << 31))  # noqa: NPY002
        if rng.random() < self.prob:
            factors = rng.uniform(1 - self.scale, 1 + self.scale, 3)
            offsets = rng.uniform(-self.shift, self.shift, 3)
            results["img"] = jitter_stains(results["img"], factors, offsets)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scale={self.scale}, shift={self.shift}, prob={self.prob})"


def jitter_stains(
    image: npt.NDArray[np.uint8],
    factors: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Multiply the amounts of haematoxylin, eosin and the rest, and add to them.

    Args:
        image: (H, W, 3) uint8, BGR.
        factors: (3,) one for each stain.
        offsets: (3,) one for each stain, in units of optical density (natural logarithm).

    Returns:
        (H, W, 3) uint8, BGR.
    """
    stains = _STAINS_RGB[:, ::-1] / np.linalg.norm(_STAINS_RGB, axis=1, keepdims=True)
    matrix = np.linalg.inv(stains) @ np.diag(factors) @ stains  # for rows of densities
    affine = np.column_stack([matrix.T, -offsets @ stains]).astype(np.float32)
    transmitted = cv2.exp(cv2.transform(cv2.LUT(image, -_DENSITIES), affine))
    # OpenCV rounds and clips on the way to 8 bits: 256 t - 1.
    return cv2.addWeighted(transmitted, 256, transmitted, 0, -1, dtype=cv2.CV_8U)
