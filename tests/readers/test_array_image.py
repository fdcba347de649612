"""Arrays as images."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_mm.readers.array_image import ArrayImage


def test_regions_of_an_array() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = ArrayImage(pixels)
    assert (image.width, image.height, image.mpp) == (50, 40, None)
    np.testing.assert_array_equal(
        image.read(10, 5, 30, 40).numpy(), pixels[5:40, 10:30].transpose(2, 0, 1)
    )


@pytest.mark.filterwarnings("error", "default::ResourceWarning")  # one of another test
def test_a_read_only_array_is_no_warning() -> None:
    pixels = np.ones((4, 4, 3), np.uint8)
    pixels.flags.writeable = False
    assert (ArrayImage(pixels).read(0, 0, 4, 4) == 1).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) array of uint8"):
        ArrayImage(pixels)
