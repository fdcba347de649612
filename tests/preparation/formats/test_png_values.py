from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cellseg_mm.preparation.formats.png_values import read_png_values
from cellseg_mm.preparation.problems import BadFileError


def test_kinds_of_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    values = np.array([[0, 1, 255], [7, 0, 3]], np.uint8)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read_png_values(path), values)

    Image.fromarray(values > 2).save(path)
    np.testing.assert_array_equal(read_png_values(path), values > 2)

    palette = Image.fromarray(values, mode="P")
    palette.putpalette([9] * 768)  # all of one colour
    palette.save(path)
    np.testing.assert_array_equal(read_png_values(path), values)

    deep = values.astype(np.uint16) * 257
    cv2.imwrite(str(path), deep)
    np.testing.assert_array_equal(read_png_values(path), deep)

    cv2.imwrite(str(path), np.dstack((values, values // 2, values * 0, values)))
    # OpenCV writes blue, green, red, alpha.
    expected = values.astype(int) + 256 * (values // 2).astype(int)
    np.testing.assert_array_equal(read_png_values(path), expected)


def test_a_header_that_states_a_huge_image(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    path = tmp_path / "a.png"
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(BadFileError, match="100000 × 100000"):
        read_png_values(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="does not exist"):
        read_png_values(tmp_path / "a.png")
