"""µm per pixel from what files state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.readers.open_image import open_image

RGB = np.zeros((64, 96, 3), np.uint8)
TILED: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32)}


def mpp_of(path: Path) -> tuple[float, float] | None:
    with open_image(path) as image:
        return image.mpp


@pytest.mark.parametrize(
    ("name", "dpi", "expected"),
    [
        ("a.png", (101_600, 50_800), (0.25, 0.5)),
        ("a.bmp", (101_600, 50_800), (0.25, 0.5)),
        ("a.jpg", (50_800, 25_400), (0.5, 1)),
        ("a.tif", (101_600, 50_800), (0.25, 0.5)),
        *((f"{dpi}.png", (dpi, dpi), None) for dpi in (72, 96, 300, 1200, 1_000_000)),
        *((f"{dpi}.jpg", (dpi, dpi), None) for dpi in (72, 96, 300, 1200)),
        *((f"{dpi}.tif", (dpi, dpi), None) for dpi in (72, 96, 300, 1200, 1_000_000)),
    ],
)
def test_densities_of_pictures(
    tmp_path: Path, name: str, dpi: tuple[int, int], expected: tuple[float, float] | None
) -> None:
    Image.fromarray(RGB).save(tmp_path / name, dpi=dpi)
    assert mpp_of(tmp_path / name) == (expected and pytest.approx(expected, rel=1e-3))


def test_a_picture_without_a_density(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "bmp", "webp", "tif"):
        Image.fromarray(RGB).save(tmp_path / f"a.{suffix}")
        assert mpp_of(tmp_path / f"a.{suffix}") is None


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        ("centimeter", (40_000, 20_000), (0.25, 0.5)),
        ("inch", (50_800, 50_800), (0.5, 0.5)),
        ("micrometer", (4, 4), (0.25, 0.25)),
        ("millimeter", (4000, 4000), (0.25, 0.25)),
        ("none", (40_000, 40_000), None),
        ("centimeter", (0, 0), None),
        ("inch", (1, 1), None),
    ],
)
def test_resolution_tags(tmp_path: Path, unit: Any, resolution: Any, expected: Any) -> None:
    options = {"resolution": resolution, "resolutionunit": unit, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", RGB, **TILED, **options)
    assert mpp_of(tmp_path / "a.tif") == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}, (0.25, 0.5)),
        ({"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm",
          "PhysicalSizeY": 0.00025, "PhysicalSizeYUnit": "mm"}, (0.25, 0.25)),
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel",
          "PhysicalSizeY": 1, "PhysicalSizeYUnit": "pixel"}, None),
        ({"PhysicalSizeX": 0.25}, None),
        ({"PhysicalSizeX": 30, "PhysicalSizeY": 30}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_ome(tmp_path: Path, about: dict[str, Any], expected: Any) -> None:
    """The first image of the file is a preview, whose scale is another one."""
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(RGB, metadata={"Name": "image", **about}, **TILED)
        preview = {"Name": "macro", "PhysicalSizeX": 4, "PhysicalSizeY": 4}
        writer.write(RGB[:32], metadata=preview, **TILED)
    assert mpp_of(path) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("micron", (0.25, 0.5)), ("um", (0.25, 0.5)), ("\\u00B5m", (0.25, 0.5)), ("pixel", None)],
)
def test_imagej(tmp_path: Path, unit: str, expected: Any) -> None:
    options: Any = {"imagej": True, "resolution": (4, 2), "metadata": {"unit": unit}}
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", **options)
    assert mpp_of(tmp_path / "a.tif") == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("field", "expected"),
    [("|AppMag = 40|MPP = 0.2527", (0.2527, 0.2527)), ("|AppMag = 40", None), ("|MPP = x", None)],
)
@pytest.mark.parametrize("tile", [(32, 32), None])  # OpenSlide takes tiles only
def test_aperio_but_never_its_magnification(
    tmp_path: Path, field: str, expected: Any, tile: Any
) -> None:
    options: Any = {"photometric": "rgb", "tile": tile, "metadata": None}
    about = f"Aperio Image Library v12\r\n96x64 (32x32) RGB{field}"
    tifffile.imwrite(tmp_path / "a.svs", RGB, description=about, **options)
    assert mpp_of(tmp_path / "a.svs") == (expected and pytest.approx(expected))
