"""Pixels of TIFFs, against tifffile, Pillow and arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from cellseg_mm.errors import UserError
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]
Check = Callable[..., list[str]]


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"tile": (16, 32)},
        {"tile": (32, 16), "compression": "lzw", "predictor": True},
        {"tile": (16, 16), "compression": "zlib"},
        {"tile": (64, 64), "compression": "deflate", "predictor": True},
        {"tile": (64, 64), "compression": "zstd"},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"rowsperstrip": 100, "compression": "zlib"},
        {"rowsperstrip": 2**31, "compression": "zlib"},
        {"rowsperstrip": 9},
        {"tile": (16, 32), "planarconfig": "separate", "compression": "zlib"},
        {"planarconfig": "separate"},
        {"rowsperstrip": 9, "planarconfig": "separate", "compression": "lzw"},
        {"tile": (128, 160)},
        {"byteorder": ">"},
    ],
    ids=str,
)
def test_lossless(
    check: Check, tmp_path: Path, rgb: Pixels, layout: dict[str, Any], bigtiff: bool
) -> None:
    data = rgb.transpose(2, 0, 1) if layout.get("planarconfig") == "separate" else rgb
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", bigtiff=bigtiff, **layout)
    assert check(tmp_path / "a.tif", rgb) == []


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        ("YCBCR", {"subsampling": (1, 1)}),
        ("YCBCR", {"subsampling": (2, 2)}),
        ("RGB", {"compressionargs": {"outcolorspace": "rgb"}}),
    ],
)
def test_jpeg(
    check: Check, tmp_path: Path, rgb: Pixels, stored: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(32, 32), compression="jpeg", **options)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric.name == stored
    check(path, rgb, tolerance=40)  # of JPEG
    check(path, tifffile.imread(path))


@pytest.mark.parametrize("code", [33003, 33005, 34712])
def test_jpeg_2000(check: Check, tmp_path: Path, rgb: Pixels, code: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(32, 32), compression=code)
    check(path, rgb, tolerance=12)
    check(path, tifffile.imread(path))


@pytest.mark.parametrize("matrices", [False, True])
def test_jpeg_2000_of_aperio_in_ycbcr(
    check: Check, tmp_path: Path, rgb: Pixels, matrices: bool
) -> None:
    """Aperio's 33003 holds Y, Cb and Cr as three components; OpenSlide reads its files."""
    ycbcr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    path = tmp_path / "a.tif"
    about = "Aperio Image Library\r\n150x100 (32x32)|MPP = 0.25" if matrices else None
    tifffile.imwrite(
        *(path, ycbcr),
        photometric="ycbcr",
        tile=(32, 32),
        subsampling=(1, 1),
        compression=33003,
        compressionargs={"mct": False, "level": 0, "reversible": True},
        description=about,
        metadata=None,
    )
    check(path, rgb, tolerance=3)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_16_bits_are_scaled_by_the_depth_that_the_brightest_needs(
    check: Check,
    tmp_path: Path,
    rgb: Pixels,
    bits: int,
    separate: bool,
    byteorder: Any,
    compression: Any,
) -> None:
    deep = rgb.astype(np.uint16) << (bits - 8)
    expected = np.rint(deep * (255 / (2**bits - 1))).astype(np.uint8)
    tifffile.imwrite(
        *(tmp_path / "a.tif", deep.transpose(2, 0, 1) if separate else deep),
        photometric="rgb",
        planarconfig="separate" if separate else "contig",
        byteorder=byteorder,
        compression=compression,
        predictor=compression is not None,
    )
    (warning,) = check(tmp_path / "a.tif", expected)
    assert f"({bits} bits) were scaled to 8 bits" in warning


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_grey(check: Check, tmp_path: Path, rgb: Pixels, dtype: Any, white_is_zero: bool) -> None:
    grey = rgb[..., 1]
    factor = 257 if dtype == np.uint16 else 1
    stored = (255 - grey if white_is_zero else grey).astype(dtype) * factor
    stored[0, 0] = 255 * factor  # the depth
    kind = "miniswhite" if white_is_zero else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=kind, tile=(32, 32))
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    expected[0, 0] = 0 if white_is_zero else 255
    warnings = check(tmp_path / "a.tif", expected)
    assert "is grey" in warnings[0]


def test_palette(check: Check, tmp_path: Path, rgb: Pixels) -> None:
    image = Image.fromarray(rgb).quantize(200)
    image.save(tmp_path / "a.tif")
    assert check(tmp_path / "a.tif", np.asarray(image.convert("RGB"))) == []
    tifffile.imwrite(
        *(tmp_path / "b.tif", rgb[..., 1] % 16),
        photometric="palette",
        colormap=np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) << 6,
        compression="zlib",
    )
    colours = (np.arange(768).reshape(3, 256) << 6 >> 8).astype(np.uint8)
    check(tmp_path / "b.tif", np.moveaxis(colours[:, rgb[..., 1] % 16], 0, -1))


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_transparent_pixels_lie_over_white(
    check: Check, tmp_path: Path, rgb: Pixels, extra: Any, tile: Any
) -> None:
    alpha = np.repeat(np.linspace(0, 255, 150).astype(np.uint8)[None], 100, axis=0)
    share = alpha[..., None] / 255
    colours = np.rint(rgb * share).astype(np.uint8) if extra == "assocalpha" else rgb
    rgba = np.dstack([colours, alpha])
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=[extra], tile=tile)
    check(tmp_path / "a.tif", np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8), 1)


def test_a_channel_of_transparency_that_nobody_filled_is_left_out(
    check: Check, tmp_path: Path, rgb: Pixels
) -> None:
    rgba = np.dstack([rgb, np.zeros_like(rgb[..., 0])])
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    check(tmp_path / "a.tif", rgb)


def test_tiles_that_were_left_out_are_white(check: Check, tmp_path: Path, rgb: Pixels) -> None:
    def tiles() -> Any:
        for row in range(0, 100, 16):
            for column in range(0, 150, 16):
                tile = np.zeros((16, 16, 3), np.uint8)
                part = rgb[row : row + 16, column : column + 16]
                tile[: part.shape[0], : part.shape[1]] = part
                yield None if row == column == 32 else tile

    path = tmp_path / "sparse.tif"
    options = {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}
    tifffile.imwrite(path, tiles(), shape=rgb.shape, dtype=np.uint8, **options)
    expected = rgb.copy()
    expected[32:48, 32:48] = 255
    check(path, expected)


def test_red_and_blue_can_be_swapped(
    pixels_of: Callable[[ImageReader], Pixels], tmp_path: Path, rgb: Pixels
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", rgb[..., ::-1], photometric="rgb")
    with open_image(tmp_path / "a.tif", "bgr") as image:
        assert (pixels_of(image) == rgb).all()


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "message"),
    [
        ((8, 8, 3), np.float32, "rgb", "has float32 pixels"),
        ((8, 8, 3), np.int16, "rgb", "has int16 pixels"),
        ((8, 8, 4), np.uint8, "separated", "the kind SEPARATED"),
        ((8, 8, 3), np.uint8, "cielab", "the kind CIELAB"),
        ((8, 8), bool, "minisblack", "has bool pixels"),
        ((8, 8, 5), np.uint8, "minisblack", "with 5 samples"),
    ],
)
def test_other_pixels_are_refused(
    tmp_path: Path, shape: tuple[int, ...], dtype: Any, kind: Any, message: str
) -> None:
    options = {"planarconfig": "contig"} if len(shape) == 3 else {}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, dtype), photometric=kind, **options)
    with pytest.raises(UserError, match=message), open_image(tmp_path / "a.tif"):
        pass
