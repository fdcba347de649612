"""A picture, and a way to compare regions with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]
REGIONS = [(0, 0, 150, 100), (0, 0, 1, 1), (40, 33, 97, 81), (149, 99, 150, 100), (16, 32, 32, 64)]


@pytest.fixture
def rgb() -> Pixels:
    """(100, 150, 3), with colours that JPEG keeps within a few steps."""
    y, x = np.mgrid[:100, :150]
    return np.stack([x, 2 * y, 255 - x], axis=2).astype(np.uint8)


@pytest.fixture
def pixels_of() -> Callable[[ImageReader], Pixels]:
    """All pixels of an open image: (h, w, 3)."""
    return _pixels_of


def _pixels_of(image: ImageReader) -> Pixels:
    return image.read(0, 0, image.width, image.height).permute(1, 2, 0).numpy()


@pytest.fixture
def check() -> Callable[..., list[str]]:
    """Compare regions of a file with the pixels expected: (100, 150, 3); give its warnings."""

    def check(path: Path, expected: Pixels, tolerance: int = 0) -> list[str]:
        with open_image(path) as image:
            assert (image.height, image.width) == expected.shape[:2]
            for x1, y1, x2, y2 in REGIONS:
                region = image.read(x1, y1, x2, y2)
                assert region.shape == (3, y2 - y1, x2 - x1)
                assert region.is_contiguous()
                difference = region.permute(1, 2, 0).numpy() - expected[y1:y2, x1:x2].astype(int)
                assert abs(difference).max() <= tolerance
            return image.warnings

    return check
