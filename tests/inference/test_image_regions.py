"""Regions of images, against the whole image as tifffile and Pillow decode it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from cellseg_mm.inference import image_regions
from cellseg_mm.inference.image_regions import open_regions

Pixels = npt.NDArray[np.uint8]
REGIONS = [(0, 0, 150, 100), (0, 0, 1, 1), (40, 33, 97, 81), (149, 99, 150, 100), (16, 32, 32, 64)]


@pytest.fixture
def rgb() -> Pixels:
    """(100, 150, 3), with colours that JPEG keeps within a few steps."""
    y, x = np.mgrid[:100, :150]
    return np.stack([x, 2 * y, 255 - x], axis=2).astype(np.uint8)


def check(path: Path, expected: Pixels, tolerance: int = 0) -> None:
    with open_regions(path) as image:
        assert (image.height, image.width) == expected.shape[:2]
        for x1, y1, x2, y2 in REGIONS:
            region = image.read(x1, y1, x2, y2)
            assert region.shape == (3, y2 - y1, x2 - x1)
            difference = region.permute(1, 2, 0).numpy() - expected[y1:y2, x1:x2].astype(int)
            assert abs(difference).max() <= tolerance


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"tile": (16, 32)},
        {"tile": (32, 16), "compression": "lzw", "predictor": True},
        {"tile": (16, 16), "compression": "zlib"},
        {"tile": (64, 64), "compression": "deflate", "predictor": True},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"rowsperstrip": 100, "compression": "zlib"},
        {"rowsperstrip": 9},
        {"tile": (16, 32), "planarconfig": "separate", "compression": "zlib"},
        {"planarconfig": "separate"},
        {"tile": (128, 160)},
    ],
    ids=str,
)
def test_lossless_tiff(tmp_path: Path, rgb: Pixels, layout: dict[str, Any], bigtiff: bool) -> None:
    data = rgb.transpose(2, 0, 1) if layout.get("planarconfig") == "separate" else rgb
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", bigtiff=bigtiff, **layout)
    check(tmp_path / "a.tif", rgb)


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        ("YCBCR", {"subsampling": (1, 1)}),
        ("YCBCR", {"subsampling": (2, 2)}),
        ("RGB", {"compressionargs": {"outcolorspace": "rgb"}}),
    ],
)
def test_jpeg_tiff(tmp_path: Path, rgb: Pixels, stored: str, options: dict[str, Any]) -> None:
    path = tmp_path / "slide.svs"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(32, 32), compression="jpeg", **options)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric.name == stored
    check(path, rgb, tolerance=40)  # of JPEG
    check(path, tifffile.imread(path))


def test_the_largest_page_is_read(tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        for level in (rgb[::4, ::4], rgb, rgb[::2, ::2]):
            writer.write(level, photometric="rgb", tile=(16, 16), compression="zlib")
    check(path, rgb)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_transparency_is_left_out_and_grey_becomes_rgb(
    tmp_path: Path, rgb: Pixels, mode: str, suffix: str
) -> None:
    path = tmp_path / f"image.{suffix}"
    image = Image.fromarray(rgb).convert(mode)
    if mode == "RGBA":
        image.putalpha(100)
    image.save(path, **({"compression": "tiff_lzw"} if suffix == "tif" else {}))
    check(
        path, np.asarray(Image.fromarray(rgb).convert(mode).convert("RGB")) if mode == "L" else rgb
    )


def test_jpeg(tmp_path: Path, rgb: Pixels) -> None:
    Image.fromarray(rgb).save(tmp_path / "image.jpg", quality=95)
    check(tmp_path / "image.jpg", rgb, tolerance=9)


def test_only_touched_segments_are_decoded_and_few_are_kept(
    tmp_path: Path, rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb", tile=(16, 16), compression="zlib")
    monkeypatch.setattr(image_regions, "_CACHED_BYTES", 4 * 16 * 16 * 3)
    decoded = []
    with open_regions(tmp_path / "a.tif") as image:
        decode = image._decode  # type: ignore[attr-defined]
        monkeypatch.setattr(image, "_decode", lambda index: decoded.append(index) or decode(index))
        image.read(15, 15, 17, 17)  # four tiles, of ten in a row
        assert decoded == [0, 1, 10, 11]
        image.read(15, 15, 17, 17)
        assert len(decoded) == 4
        image.read(32, 0, 33, 1)  # takes the place of tile 0
        image.read(0, 0, 1, 1)
        assert decoded[4:] == [2, 0]
        image.read(15, 16, 17, 17)  # tiles 10 and 11 are still there; those above are forgotten
        assert len(decoded) == 6
        image.read(32, 0, 33, 1)
        image.read(0, 0, 1, 1)
        assert decoded[6:] == [2, 0]


def _write_16_bit(path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint16)
    if path.suffix == ".tif":
        tifffile.imwrite(path, image, photometric="rgb")
    else:
        import cv2

        cv2.imwrite(str(path), image)


def _write_palette(path: Path) -> None:
    Image.new("P", (8, 8)).save(path)


def _write_half(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb", compression="lzw")
    path.write_bytes(path.read_bytes()[:120])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("none.tif", lambda path: None, "none.tif does not exist"),
        ("deep.tif", _write_16_bit, "deep.tif has uint16 pixels"),
        ("deep.png", _write_16_bit, "deep.png has uint16 pixels"),
        ("palette.tif", _write_palette, "the kind PALETTE"),
        ("text.png", lambda path: path.write_text("text"), "not an image that can be read"),
        ("text.tif", lambda path: path.write_text("text"), "not an image that can be read"),
        ("half.tif", _write_half, "half.tif is not a readable TIFF|cannot be decoded"),
        ("head.tif", lambda path: path.write_bytes(b"II*\0"), "head.tif is not a readable TIFF"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence(
    tmp_path: Path, name: str, write: Any, message: str
) -> None:
    write(tmp_path / name)
    with (
        pytest.raises((ValueError, FileNotFoundError), match=message),
        open_regions(tmp_path / name) as image,
    ):
        image.read(0, 0, image.width, image.height)


def test_a_damaged_segment_is_named(tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(content)
    with open_regions(path) as image:
        assert (image.read(0, 0, 64, 64).permute(1, 2, 0).numpy() == rgb[:64, :64]).all()
        with pytest.raises(ValueError, match=r"Segment 3 of .*damaged\.tif cannot be decoded"):
            image.read(0, 0, 150, 100)
