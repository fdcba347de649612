"""Slides of scanners, against the pages that they were written from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openslide
import pytest
import tifffile
import torch

from cellseg_mm.errors import UserError
from cellseg_mm.readers import slide_image
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.open_image import open_image
from cellseg_mm.readers.slide_image import SlideImage, vendor_of

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 403, 302


@pytest.fixture
def full() -> Pixels:
    """(302, 403, 3): its levels have no whole number of pixels in one of theirs."""
    return np.random.default_rng(0).integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def svs(tmp_path: Path, full: Pixels) -> Path:
    """As Aperio's scanners write them: image, thumbnail, level, label and macro photo."""
    path = tmp_path / "slide.svs"
    size = f"Aperio Image Library v12.0.0\r\n{WIDTH}x{HEIGHT}"
    about = f"{size} (64x64) LZW|AppMag = 40|MPP = 0.2527"
    options: Any = {"photometric": "rgb", "compression": "lzw", "metadata": None}
    large = np.zeros((900, 1200, 3), np.uint8)  # a macro photo may be larger than the image
    with tifffile.TiffWriter(path) as writer:
        writer.write(full, tile=(64, 64), description=about, **options)
        writer.write(full[::5, ::5], description=f"{size} -> 81x61 - |AppMag = 40", **options)
        writer.write(full[1::4, 1::4][:, :100], tile=(64, 64), description=about, **options)
        writer.write(large, description=f"{size}\r\nlabel 1200x900", subfiletype=1, **options)
        writer.write(large, description=f"{size}\r\nmacro 1200x900", subfiletype=9, **options)
    return path


def test_an_svs(svs: Path, full: Pixels) -> None:
    assert vendor_of(svs) == "aperio"
    with open_image(svs) as image:
        assert image.levels == [(WIDTH, HEIGHT), (100, 76)]
        assert image.mpp == (0.2527, 0.2527)
        assert (image.origin, image.warnings) == ((0, 0), [])
        assert (whole(image, 0) == full).all()
        region = image.read(37, 60, 260, 199).permute(1, 2, 0).numpy()
        assert (region == full[60:199, 37:260]).all()
    with open_image(svs, "bgr") as image:
        assert (whole(image, 0) == full[..., ::-1]).all()


def whole(image: ImageReader, level: int) -> Pixels:
    size = image.levels[level]
    return image.read_level(level, 0, 0, size.width, size.height).permute(1, 2, 0).numpy()


def test_tiles_of_a_level_equal_the_whole(svs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_image, "_BLOCK", 32)
    with open_image(svs) as image:
        tiled = torch.zeros(3, 76, 100, dtype=torch.uint8)
        for y in range(0, 76, 23):
            for x in range(0, 100, 17):
                x2, y2 = min(x + 17, 100), min(y + 23, 76)
                tiled[:, y:y2, x:x2] = image.read_level(1, x, y, x2, y2)
        assert (tiled.permute(1, 2, 0).numpy() == whole(image, 1)).all()


def test_only_the_scanned_part_of_the_frame_is_the_image(
    svs: Path, full: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = {"x": "80", "y": "40", "width": "200", "height": "160"}
    properties = {f"openslide.bounds-{key}": value for key, value in bounds.items()}
    properties |= {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.5"}
    monkeypatch.setattr(openslide.OpenSlide, "properties", properties)
    with open_image(svs) as image:
        assert (image.width, image.height, image.origin) == (200, 160, (80, 40))
        assert image.mpp == (0.25, 0.5)
        assert image.levels[1] == (49, 39)  # a level's pixel is 4.0018 wide
        assert (whole(image, 0) == full[40:200, 80:280]).all()
    properties["openslide.bounds-width"] = "999"  # more than there is
    with open_image(svs) as image:
        assert (image.width, image.height, image.origin) == (WIDTH, HEIGHT, (0, 0))


def test_transparent_places_are_white(svs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSlide gives what was not scanned as black that is transparent."""
    from PIL import Image

    def read_region(self: Any, corner: Any, level: int, size: tuple[int, int]) -> Image.Image:
        return Image.new("RGBA", size, (0, 0, 0, 0))

    monkeypatch.setattr(openslide.OpenSlide, "read_region", read_region)
    with open_image(svs) as image:
        assert (image.read(0, 0, 9, 9) == 255).all()


def test_a_damaged_tile(svs: Path) -> None:
    with tifffile.TiffFile(svs) as file:
        start = file.pages[0].dataoffsets[3]
    content = bytearray(svs.read_bytes())
    content[start : start + 40] = bytes(40)
    svs.write_bytes(content)
    with open_image(svs) as image, pytest.raises(UserError, match=r"slide\.svs cannot be decoded"):
        whole(image, 0)


def test_a_slide_without_its_folder(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.mrxs", "JPEG")  # the thumbnail of such slides
    with (
        pytest.raises(UserError, match=r"a\.mrxs .*: copy its folder, too"),
        open_image(tmp_path / "a.mrxs"),
    ):
        pass


def test_a_slide_that_openslide_knows_but_cannot_open(
    svs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, path: Path) -> None:
        raise openslide.OpenSlideError("No such slide")

    monkeypatch.setattr(openslide.OpenSlide, "__init__", fail)
    monkeypatch.setattr(openslide.OpenSlide, "__del__", lambda self: None, raising=False)
    with pytest.raises(UserError, match=r"not a complete slide \(No such slide\)"):
        SlideImage(svs)


def test_openslide_is_loaded_for_slides_only(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    code = (
        "import sys; from pathlib import Path\n"
        "from cellseg_mm.readers.open_image import open_image\n"
        f"with open_image(Path({str(tmp_path / 'a.png')!r})): pass\n"
        "assert 'openslide' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
