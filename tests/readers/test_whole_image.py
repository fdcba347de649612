"""PNG, JPEG, BMP and WebP, against Pillow, OpenCV and arithmetic."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from cellseg_mm.errors import UserError
from cellseg_mm.readers import whole_image
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]
Check = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("name", "tolerance", "options"),
    [
        ("a.png", 0, {}),
        ("a.bmp", 0, {}),
        ("a.webp", 0, {"lossless": True}),
        ("b.webp", 40, {"quality": 90}),
        ("a.jpg", 9, {"quality": 95}),
        ("b.jpg", 40, {"progressive": True, "quality": 90}),
        ("png.jpg", 0, {"format": "PNG"}),  # what a file is does not depend on its name
        ("no_suffix", 0, {"format": "PNG"}),
    ],
)
def test_every_format(
    check: Check, tmp_path: Path, rgb: Pixels, name: str, tolerance: int, options: Any
) -> None:
    path = tmp_path / name
    Image.fromarray(rgb).save(path, **options)
    assert check(path, rgb, tolerance) == []
    check(path, cv2.imread(str(path))[..., ::-1], tolerance=3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(
    check: Check, tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    flat = np.zeros((100, 150, 3), np.uint8)
    flat[:50, :75], flat[:50, 75:], flat[50:, :75] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    if orientation >= 5:
        flat = np.ascontiguousarray(flat.swapaxes(0, 1))
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(flat).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    check(path, expected, tolerance=3 if suffix == "jpg" else 0)


def test_kinds_of_pixels(check: Check, tmp_path: Path, rgb: Pixels) -> None:
    image = Image.fromarray(rgb)
    grey = np.asarray(image.convert("L"))
    image.convert("L").save(tmp_path / "grey.png")
    (warning,) = check(tmp_path / "grey.png", np.repeat(grey[..., None], 3, axis=2))
    assert "is grey" in warning
    palette = image.quantize(100)
    palette.save(tmp_path / "palette.png")
    assert check(tmp_path / "palette.png", np.asarray(palette.convert("RGB"))) == []
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    (warning,) = check(tmp_path / "cmyk.jpg", rgb, tolerance=12)
    assert "printing colours" in warning


def test_transparent_pixels_lie_over_white(check: Check, tmp_path: Path, rgb: Pixels) -> None:
    image = Image.fromarray(rgb)
    alpha = np.repeat(np.linspace(0, 255, 150).astype(np.uint8)[None], 100, axis=0)
    image.putalpha(Image.fromarray(alpha))
    white = Image.new("RGBA", image.size, "white")
    expected = np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    for suffix in ("png", "webp"):
        image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
        tolerance = 1 if suffix == "png" else 255  # WebP does not keep what cannot be seen
        check(tmp_path / f"a.{suffix}", expected, tolerance)
    with open_image(tmp_path / "a.webp") as webp:
        assert webp.read(0, 0, 1, 1).flatten().tolist() == [255, 255, 255]
    image.putalpha(0)  # a program that left it unfilled
    image.save(tmp_path / "b.png")
    check(tmp_path / "b.png", rgb)
    colour = tuple(rgb[40, 60].tolist())
    Image.fromarray(rgb).save(tmp_path / "key.png", transparency=colour)
    expected = np.where((rgb == colour).all(axis=2, keepdims=True), 255, rgb)
    check(tmp_path / "key.png", expected.astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_16_bits_are_scaled_by_the_depth_that_the_brightest_needs(
    check: Check, tmp_path: Path, rgb: Pixels, bits: int, grey: bool
) -> None:
    deep = rgb.astype(np.uint16) << (bits - 8)
    expected = np.rint(deep * (255 / (2**bits - 1))).astype(np.uint8)
    path = tmp_path / "a.png"
    if grey:
        cv2.imwrite(str(path), deep[..., 2])
        expected = np.repeat(expected[..., 2:], 3, axis=2)
    else:
        cv2.imwrite(str(path), deep[..., ::-1])
    warnings = check(path, expected)
    assert f"({bits} bits) were scaled to 8 bits" in warnings[-1]
    assert len(warnings) == 1 + grey


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 95}),
        ("a.jpg", {"progressive": True}),
        ("a.png", {}),
        ("a.webp", {}),
        ("a.bmp", {}),
    ],
)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_short_is_refused(
    tmp_path: Path, rgb: Pixels, name: str, options: Any, share: float
) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(256, size=rgb.shape, dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=f"{name} is damaged or cut short"), open_image(path):
        pass


def test_a_16_bit_png_that_is_cut_short_is_refused(tmp_path: Path, rgb: Pixels) -> None:
    noise = np.random.default_rng(0).integers(65536, size=rgb.shape, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged or cut short"), open_image(tmp_path / "a.png"):
        pass


def test_a_file_that_claims_more_pixels_than_fit_is_not_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with (
        pytest.raises(UserError, match=r"60000×60000 pixels, .*500 million"),
        open_image(tmp_path / "bomb.png"),
    ):
        pass


def test_a_picture_beyond_pillows_own_limit_is_read(
    check: Check, tmp_path: Path, rgb: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    check(tmp_path / "a.png", rgb)
    monkeypatch.setattr(whole_image, "MAX_PIXELS", 14_999)
    with pytest.raises(UserError, match="save it as a tiled TIFF"), open_image(tmp_path / "a.png"):
        pass


def test_the_first_of_several_pictures_is_taken_and_it_is_said(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    image = Image.fromarray(rgb)
    more = [Image.fromarray(rgb[::-1].copy())]
    for name, options in (("a.webp", {"lossless": True}), ("a.png", {})):
        image.save(tmp_path / name, save_all=True, append_images=more, **options)
        (warning,) = check(tmp_path / name, rgb)
        assert "holds 2 pictures" in warning


def test_other_pixels_are_refused(tmp_path: Path) -> None:
    Image.new("1", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="the kind 1"), open_image(tmp_path / "a.png"):
        pass


def test_a_damaged_middle_of_a_png(tmp_path: Path, rgb: Pixels) -> None:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match="damaged or cut short"), open_image(tmp_path / "a.png"):
        pass
