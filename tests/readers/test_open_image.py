"""What is refused before a pixel is read, and while pixels are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]


def _write_half(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb", compression="lzw")
    path.write_bytes(path.read_bytes()[:120])


def _write_tags(path: Path, **values: int) -> None:
    """A TIFF in strips with other values in its tags."""
    image = np.zeros((64, 64, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", compression="lzw", rowsperstrip=8)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name, value in values.items():
            file.pages[0].tags[name].overwrite(value)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("none.tif", lambda path: None, "none.tif does not exist"),
        ("dir.tif", lambda path: path.mkdir(), "dir.tif is a folder"),
        ("empty.png", lambda path: path.touch(), "not an image that can be read"),
        ("text.png", lambda path: path.write_text("text"), "not an image that can be read"),
        ("text.tif", lambda path: path.write_text("text"), "not an image that can be read"),
        ("slide.mrxs", lambda path: path.write_text("text"), "copy its folder, too"),
        ("half.tif", _write_half, "half.tif cannot be read as an image"),
        ("head.tif", lambda path: path.write_bytes(b"II*\0"), "head.tif cannot be read"),
        ("rows.tif", lambda path: _write_tags(path, RowsPerStrip=0), "without pixels"),
        ("width.tif", lambda path: _write_tags(path, ImageWidth=0), "width.tif"),
        ("long.tif", lambda path: _write_tags(path, ImageLength=800), "lists 8 of its 100"),
        ("wide.tif", lambda path: _write_tags(path, ImageWidth=2**27), "save it as a tiled TIFF"),
        ("kind.tif", lambda path: _write_tags(path, PhotometricInterpretation=77), "the kind 77"),
        ("code.tif", lambda path: _write_tags(path, Compression=777), r"not known \(777\)"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence(
    tmp_path: Path, name: str, write: Any, message: str
) -> None:
    write(tmp_path / name)
    kind = MissingFileError if name in ("none.tif", "dir.tif") else UserError
    with pytest.raises(kind, match=message) as caught, open_image(tmp_path / name):
        pass
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_damaged_segment_is_named(tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(content)
    with open_image(path) as image:
        assert (image.read(0, 0, 64, 64).permute(1, 2, 0).numpy() == rgb[:64, :64]).all()
        with pytest.raises(UserError, match=r"Segment 3 of .*damaged\.tif cannot be decoded"):
            image.read(0, 0, 150, 100)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("change", ["cut", "other", "removed"])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, rgb: Pixels, compression: Any, change: str
) -> None:
    path = tmp_path / "a.tif"
    options: Any = {"photometric": "rgb", "rowsperstrip": 8, "compression": compression}
    tifffile.imwrite(path, rgb, **options)
    with open_image(path) as image:
        image.read(0, 0, 10, 10)
        if change == "cut":
            os.truncate(path, path.stat().st_size // 2)
        elif change == "other":
            tifffile.imwrite(path, rgb[::-1][:90], **options)
        else:
            path.unlink()
        with pytest.raises(UserError, match=r"a\.tif was changed or removed"):
            image.read(0, 90, 150, 100)


def test_an_uncompressed_file_that_is_cut_short(tmp_path: Path, rgb: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    os.truncate(tmp_path / "a.tif", 40_000)
    with open_image(tmp_path / "a.tif") as image:
        image.read(0, 0, 150, 80)
        with pytest.raises(UserError, match="ends before its last pixels"):
            image.read(0, 80, 150, 100)


def test_a_region_outside_is_a_fault_of_the_caller(tmp_path: Path, rgb: Pixels) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as image:
        for region in [(0, 0, 151, 100), (-1, 0, 5, 5), (5, 5, 5, 9)]:
            with pytest.raises(ValueError, match="empty or leaves") as caught:
                image.read(*region)
            assert not isinstance(caught.value, UserError)


def test_errors_of_the_caller_pass_unchanged(tmp_path: Path, rgb: Pixels) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.png")
    with pytest.raises(ZeroDivisionError), open_image(tmp_path / "a.png"):
        raise ZeroDivisionError
