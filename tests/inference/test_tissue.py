"""Where an image is searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from scipy import ndimage

from cellseg_mm.inference.tissue import Tissue, find_tissue
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]


def glass(height: int = 2400, width: int = 3000) -> Pixels:
    """Light grey with the noise of a camera."""
    noise = np.random.default_rng(0).integers(-2, 3, size=(height, width, 3))
    return (236 + noise).astype(np.uint8)


def paint(image: Pixels, x1: int, y1: int, x2: int, y2: int) -> None:
    """Pink tissue with violet nuclei."""
    shape = (y2 - y1, x2 - x1)
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), 4)
    nuclei = (noise > 0.1)[:, :, None]
    image[y1:y2, x1:x2] = np.where(nuclei, (90, 50, 140), (225, 170, 200))


def tissue_of(folder: Path, image: Pixels, **options: Any) -> Tissue:
    path = folder / "a.tif"
    tifffile.imwrite(path, image, photometric="rgb", tile=(512, 512), **options)
    with open_image(path) as opened:
        return find_tissue(opened)


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_tissue_is_searched_and_glass_is_not(tmp_path: Path, compression: Any) -> None:
    image = glass()
    paint(image, 300, 500, 1200, 1100)
    image[2000:2200, 2500:2700] = 5  # a dark speck that no stain coloured
    tissue = tissue_of(tmp_path, image, compression=compression)
    assert tissue.warnings == []
    assert tissue.fraction == pytest.approx(
        (900 + 2 * 66) * (600 + 2 * 66) / image[..., 0].size, rel=0.02
    )
    for x1, y1 in [(300, 500), (1190, 500), (300, 1090), (1190, 1090), (700, 800)]:
        assert tissue.touches(x1, y1, x1 + 10, y1 + 10)
    assert tissue.touches(0, 0, 3000, 2400)
    assert tissue.touches(0, 0, 301, 501)
    for square in [
        (0, 0, 200, 2400),
        (0, 0, 3000, 400),
        (1310, 0, 3000, 2400),
        (0, 1210, 3000, 2400),
    ]:
        assert not tissue.touches(*square)


def test_an_image_that_is_all_tissue_is_searched_as_a_whole(tmp_path: Path) -> None:
    """Otsu's threshold alone would take the pale half for glass."""
    image = glass(2000, 2500)
    paint(image, 0, 0, 2500, 2000)
    image[:, 1200:] = (232, 205, 220)  # pale stroma
    tissue = tissue_of(tmp_path, image)
    assert tissue.fraction == 1
    assert tissue.warnings == []


@pytest.mark.parametrize("kind", ["glass", "grey", "speck"])
def test_with_hardly_any_tissue_everything_is_searched_and_it_is_said(
    tmp_path: Path, kind: str
) -> None:
    image = glass()
    if kind == "grey":
        paint(image, 300, 500, 1200, 1100)
        image = np.repeat(image[..., 1:2], 3, axis=2)
    if kind == "speck":
        paint(image, 300, 500, 350, 550)
    tissue = tissue_of(tmp_path, image)
    assert tissue.fraction == 1
    assert tissue.touches(2900, 2300, 3000, 2400)
    (warning,) = tissue.warnings
    assert "Hardly any tissue" in warning


def test_a_small_image_is_searched_as_a_whole(tmp_path: Path) -> None:
    tissue = tissue_of(tmp_path, glass(2000, 2000))
    assert (tissue.fraction, tissue.warnings) == (1, [])
