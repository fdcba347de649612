"""An image that a program has in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.readers.image_reader import ImageReader, Level
from cellseg_mm.readers.pixel_values import Pixels


class ArrayImage(ImageReader):
    """An array as an image.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        name: For messages.

    Raises:
        UserError: The array is of another kind, or is empty.
    """

    def __init__(self, pixels: Pixels, name: str = "image") -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise UserError(
                f"An image is an (H, W, 3) array of uint8, RGB, not {pixels.dtype} of shape "
                f"{pixels.shape}: convert it."
            )
        super().__init__(Path(name), [Level(pixels.shape[1], pixels.shape[0])])
        # Of a PIL image the array is read-only, which PyTorch would warn of.
        writable = np.require(pixels, requirements=["C", "W"])
        self._pixels = torch.from_numpy(writable).permute(2, 0, 1)

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        return self._pixels[:, y1:y2, x1:x2]
