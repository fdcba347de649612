"""What is read before pixels are decoded, against what the readers find with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.errors import UserError
from cellseg_mm.readers.image_header import read_header
from cellseg_mm.readers.open_image import open_image
from cellseg_mm.readers.oriented_image import ORIENTATION_TAG

DPI = 25_400 / 0.5  # half a micrometre a pixel


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return exif


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
def test_it_is_what_the_reader_says(
    name: str, orientation: int, tmp_path: Path, rgb: np.ndarray
) -> None:
    path = tmp_path / name
    if name == "a.tif":
        resolution = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
        tag = (ORIENTATION_TAG, 3, 1, orientation, True)
        tifffile.imwrite(path, rgb, extratags=[tag], **resolution)
    else:
        more = {} if name == "a.bmp" else {"exif": turned(orientation)}
        Image.fromarray(rgb).save(path, dpi=(DPI, DPI), **more)
    header = read_header(path)
    with open_image(path) as image:
        assert header == (image.width, image.height, image.mpp)
    upright = orientation != 6 or name == "a.bmp"
    assert header[:2] == ((150, 100) if upright else (100, 150))


def test_pixels_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (3000, 2000)).save(path)
    path.write_bytes(path.read_bytes()[:100])
    assert read_header(path) == (3000, 2000, None)


def test_what_has_no_header(tmp_path: Path) -> None:
    for name, content in (("a.png", b"\x89PNG\r\n\x1a\nnothing"), ("b.txt", b"text")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            read_header(tmp_path / name)
    with pytest.raises(UserError, match="does not exist"):
        read_header(tmp_path / "nowhere.png")
