"""What the results of an image need to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cellseg_mm.inference.scaled_image import ScaledImage
from cellseg_mm.readers.image_reader import ImageReader

LONGEST_SIDE = 4000
"""Of larger images there is a thumbnail of this, pixels."""


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
    source: ImageReader
    classes: Sequence[str]
    mpp: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.source.height

    @property
    def picture_scale(self) -> float:
        """Pixels of ``picture`` for each pixel of the image; 1 at most."""
        return min(1.0, LONGEST_SIDE / max(self.width, self.height))

    @cached_property
    def picture(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8, RGB: the image, or a thumbnail of a large one.

        It is read when it is first asked for, and kept.
        """
        width, height = (max(1, round(n * self.picture_scale)) for n in (self.width, self.height))
        view = ScaledImage(self.source, width, height).read(0, 0, width, height)
        return np.ascontiguousarray(view.permute(1, 2, 0).numpy())
