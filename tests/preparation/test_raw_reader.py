from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
import tifffile

from cellseg_mm.preparation.problems import BadFileError
from cellseg_mm.preparation.raw_reader import image_size, read_image, read_mask

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
IDS = np.random.default_rng(1).integers(0, 200, (40, 30))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("options", [{}, {"compression": "lzw", "predictor": True}])
def test_image(tmp_path, channels, options):
    pixels = np.random.default_rng(2).integers(0, 256, (5, 7, channels), np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", pixels, photometric="rgb", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif"), pixels)
    assert image_size(tmp_path / "image.tif") == (5, 7)


def test_planar_image(tmp_path):
    planar = np.moveaxis(PIXELS, -1, 0)
    tifffile.imwrite(tmp_path / "i.tif", planar, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "i.tif"), PIXELS)


@pytest.mark.parametrize(
    ("pixels", "photometric", "complaint"),
    [
        (PIXELS[..., 0], "minisblack", "not three or four channels"),
        (PIXELS.astype(np.uint16), "rgb", "uint16 values, not 8 bits"),
        (np.zeros((4, 5, 4), np.uint8), "separated", "SEPARATED, not RGB"),
    ],
)
def test_images_of_another_kind(tmp_path, pixels, photometric, complaint):
    tifffile.imwrite(tmp_path / "image.tif", pixels, photometric=photometric)
    with pytest.raises(BadFileError, match=complaint):
        read_image(tmp_path / "image.tif")


@pytest.mark.parametrize("dtype", ["f8", "f4", "u1", "u2", "u4", "i2", "i4", "i8", ">u2", ">f8"])
def test_mask_types(tmp_path, dtype):
    tifffile.imwrite(
        tmp_path / "m.tif", IDS.astype(dtype), byteorder=">" if dtype[0] == ">" else "<"
    )
    ids, stored = read_mask(tmp_path / "m.tif", (40, 30))
    np.testing.assert_array_equal(ids, IDS)
    assert ids.dtype.kind == "u"
    assert stored.kind == np.dtype(dtype).kind


@pytest.mark.parametrize("largest", [65_536, 2**32 - 1, 2**32])
def test_large_ids_survive(tmp_path, largest):
    tifffile.imwrite(tmp_path / "m.tif", np.array([[0.0, largest]]))
    assert read_mask(tmp_path / "m.tif", None)[0].tolist() == [[0, largest]]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.array([[0, 1.5], [2.5, 0]]), "2 pixels hold a fractional id, the first 1.5 at row 0"),
        (np.array([[0, 0], [0, -3.0]]), "1 pixels hold a negative id, the first -3.0 at row 1"),
        (np.array([[0, 0], [0, -3]], np.int16), "negative id, the first -3"),
        (np.array([[np.nan, 0], [0, 1]]), "NaN or infinite"),
        (np.array([[np.inf, 0], [0, 1]]), "NaN or infinite"),
        (np.array([[2.0**60, 0], [0, 1]]), "too large"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.zeros((3, 2), np.uint8), "is 3 × 2 pixels .* its image 2 × 2"),
        (np.zeros((2, 2, 3), np.uint8), "not one value a pixel"),
    ],
)
def test_values_that_are_no_ids(tmp_path, values, complaint):
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "m.tif", values, photometric=photometric)
    with pytest.raises(BadFileError, match=complaint):
        read_mask(tmp_path / "m.tif", (2, 2))


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("kept", [0, 3, 60, 300, 0.5, -1])
def test_truncated(tmp_path, compression, kept):
    for name, values in (("image", PIXELS), ("mask", IDS.astype(np.float64))):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, values, compression=compression, metadata=None)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(BadFileError, match=r"image\.tif"):
        read_image(tmp_path / "image.tif")
    with pytest.raises(BadFileError, match=r"mask\.tif"):
        read_mask(tmp_path / "mask.tif", None)


def test_damaged_codec_data(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, IDS.astype(np.uint16), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = b"\x55" * count
    path.write_bytes(content)
    with pytest.raises(BadFileError, match="cannot be decoded"):
        read_mask(path, None)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_not_a_tiff(tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(BadFileError, match=r"x\.tif: not a TIFF file .*; copy or write it again\."):
        read_image(tmp_path / "x.tif")


def test_several_pages(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    with pytest.raises(BadFileError, match="it holds 3 pages"):
        read_mask(tmp_path / "m.tif", None)


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "m.tif").mkdir()
    with pytest.raises(BadFileError, match="does not exist"):
        read_mask(tmp_path / "m.tif", None)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, IDS.astype(np.uint16), compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for tag in ("ImageWidth", "ImageLength"):
            tif.pages[0].tags[tag].overwrite(1_000_000)

    def never(*_: object, **__: object) -> None:
        pytest.fail("pixels were decoded")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", never)
    with pytest.raises(BadFileError, match="its header states 1000000 × 1000000 pixels"):
        read_mask(path, None)


def test_absent_strips_are_no_background(tmp_path):
    # A TIFF may leave out strips (offset and length 0), which readers fill with zeros.
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, IDS.astype(np.uint8), rowsperstrip=10, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tag = tif.pages[0].tags["StripByteCounts"]
        tag.overwrite([300, 300, 0, 300])
    with pytest.raises(BadFileError, match="truncated"):
        read_mask(path, None)


def test_random_damage_raises_nothing_else(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, IDS.astype(np.uint16), compression="lzw", metadata=None)
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    header = struct.calcsize("<2sHI") + 200
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, header, 3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(BadFileError):
            read_mask(path, None)
