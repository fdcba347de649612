"""What the results of an image need to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class ImageSource(Protocol):
    """Pixels by region; :class:`~cellseg_mm.inference.readers.image_reader.ImageReader` is one."""

    @property
    def levels(self) -> Sequence[tuple[int, int]]:
        """(width, height) of the stored sizes, from the full one down."""

    def read_level(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """The region from (x1, y1) up to (x2, y2): (3, y2 - y1, x2 - x1) uint8, RGB."""


class ArraySource:
    """An image that is held in memory.

    Args:
        pixels: (H, W, 3) uint8, RGB.
    """

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self.levels = [(pixels.shape[1], pixels.shape[0])]
        self._pixels = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)

    def read_level(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """See :class:`ImageSource`."""
        return self._pixels[:, y1:y2, x1:x2].contiguous()


@dataclass(frozen=True, eq=False)
class ResultImage:
    """An image and what is known of it.

    Attributes:
        name: Names the image in files, and makes the cells' ids in QuPath differ from those of
            other images.
        source: Its pixels.
        classes: Names of the classes.
        mpp: µm per pixel along x and y, or None if unknown.
        warnings: Sentences for the user; who writes a file may add some.
    """

    name: str
    source: ImageSource
    classes: Sequence[str]
    mpp: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Pixels."""
        return self.source.levels[0][0]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.source.levels[0][1]
