"""What the results of an image need to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cellseg_mm.inference.readers.image_reader import ImageReader


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
