"""Files with a few bytes changed, lost or added: an image or one sentence, never a traceback."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from cellseg_mm.errors import UserError
from cellseg_mm.inference.scaled_image import at_mpp
from cellseg_mm.readers.open_image import open_image

SEEDS = 20
Pixels = npt.NDArray[np.uint8]
Write = Callable[[Path, Pixels], object]


def _tiff(**options: Any) -> Write:
    return lambda path, rgb: tifffile.imwrite(path, rgb, **{"photometric": "rgb", **options})


def _pillow(kind: str, **options: Any) -> Write:
    return lambda path, rgb: Image.fromarray(rgb).save(path, kind, **options)


def _pyramid(path: Path, rgb: Pixels) -> None:
    options: Any = {"photometric": "rgb", "tile": (32, 32), "compression": "zlib"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        about: Any = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
        writer.write(rgb, subifds=1, metadata=about, **options)
        writer.write(rgb[::2, ::2], subfiletype=1, **options)


def _channels(path: Path, rgb: Pixels) -> None:
    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).astype(np.uint16) << 4
    about: Any = {"axes": "CYX"}
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata=about)


APERIO = "Aperio Image Library v1\r\n150x100 (32x32) J2K|AppMag = 20|MPP = 0.5"
KINDS: dict[str, Write] = {
    "png": _pillow("PNG"),
    "palette": lambda path, rgb: Image.fromarray(rgb).quantize(64).save(path, "PNG"),
    "jpeg": _pillow("JPEG", dpi=(101_600, 101_600)),
    "progressive": _pillow("JPEG", progressive=True),
    "bmp": _pillow("BMP"),
    "webp": _pillow("WEBP"),
    "raw": _tiff(),
    "strips": _tiff(rowsperstrip=8, compression="lzw"),
    "tiles": _tiff(tile=(32, 32), compression="zlib", predictor=True),
    "jpeg_tiles": _tiff(tile=(32, 32), compression="jpeg"),
    "jpeg_2000": _tiff(tile=(32, 32), compression=33005),
    "svs": _tiff(tile=(32, 32), compression="jpeg", description=APERIO, metadata=None),
    "ome": _pyramid,
    "channels": _channels,
}


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, cut out or put in a few bytes; half of them near the beginning, where headers lie."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        end = max(len(data) if rng.random() < 0.5 else min(len(data), 400), 1)
        place = int(rng.integers(end))
        match rng.integers(5):
            case 0 if data:
                data[place] ^= 1 << int(rng.integers(8))
            case 1 if data:
                data[place] = int(rng.choice([0, 1, 127, 255]))
            case 2:
                del data[place : place + int(rng.integers(1, 50))]
            case 3:
                data[place:place] = rng.bytes(int(rng.integers(1, 9)))
            case 4 if rng.random() < 0.3:
                del data[place:]
    return bytes(data) or b"\0"


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_an_image_or_a_sentence(
    kind: str, tmp_path: Path, rgb: Pixels, caplog: pytest.LogCaptureFixture
) -> None:
    KINDS[kind](tmp_path / "whole", rgb)
    content = (tmp_path / "whole").read_bytes()
    sentences = []
    with warnings.catch_warnings(), caplog.at_level(logging.CRITICAL, "tifffile"):
        warnings.simplefilter("ignore")  # of Pillow, on EXIF that it cannot make sense of
        for seed in range(SEEDS):
            path = tmp_path / "damaged"
            path.write_bytes(mutate(content, np.random.default_rng(seed)))
            try:
                with open_image(path) as image:
                    size = min(image.width, 300), min(image.height, 300)
                    assert image.read(0, 0, *size).shape == (3, size[1], size[0])
                    last = image.levels[-1]
                    image.read_level(len(image.levels) - 1, last.width - 1, 0, last.width, 1)
                    at_mpp(image, 0.3).read(0, 0, 1, 1)
            except UserError as error:
                sentences.append(str(error))
    assert len(sentences) > SEEDS / 10
    assert all(str(path) in text and "\n" not in text and text[-1] == "." for text in sentences)
