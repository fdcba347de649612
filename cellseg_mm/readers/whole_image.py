"""PNG, JPEG, BMP and WebP, which are decoded as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import torch
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from torch import Tensor

from cellseg_mm.errors import UserError, one_line
from cellseg_mm.readers import scale
from cellseg_mm.readers.image_reader import ImageReader, Level
from cellseg_mm.readers.oriented_image import ORIENTATION_TAG
from cellseg_mm.readers.pixel_values import Pixels, depth_of, over_white, scaling

MAX_PIXELS = 500_000_000
"""More are refused before they are decoded: at 7 bytes a pixel, 3.5 GB."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH = 24
"""Where a PNG keeps its bits a channel."""


def decoder_of(head: bytes) -> Any:
    """Pillow's class for a file that begins with these 16 bytes or more; None if there is none."""
    if head.startswith(_PNG_MAGIC):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    return None


class WholeImage(ImageReader):
    """An image that is held in memory, as its pixels are stored.

    Args:
        path: The file.
        decoder: What :func:`decoder_of` gives for it. Not Pillow's ``open``: its limit of pixels is
            one for the whole process.

    Attributes:
        orientation: Value of EXIF's tag; the pixels have not been turned yet.

    Raises:
        UserError: The file is damaged, is cut short, or holds no grey or coloured image.
    """

    def __init__(self, path: Path, decoder: Any) -> None:
        warnings: list[str] = []
        try:
            with path.open("rb") as file, decoder(file, str(path)) as image:
                image.verify()  # the checksums of a PNG, which decoding leaves out
            with path.open("rb") as file, decoder(file, str(path)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(
                        f"{path} has {image.width}×{image.height} pixels, more than are decoded as "
                        f"a whole ({MAX_PIXELS // 1_000_000} million): save it as a tiled TIFF."
                    )
                pixels = _decode(path, image, warnings)
                density = image.info.get("dpi")
                self.orientation = image.getexif().get(ORIENTATION_TAG, 1)
        except UserError:
            raise
        except Exception as error:  # Pillow has many, SyntaxError among them
            raise UserError(
                f"{path} is damaged or cut short ({one_line(error)}): copy or save it again."
            ) from error
        super().__init__(path, [Level(pixels.shape[1], pixels.shape[0])])
        self.warnings = warnings
        if density is not None and len(density) == 2:
            self.mpp = scale.from_density(float(density[0]), float(density[1]), 25_400)
        self._pixels = torch.from_numpy(pixels).permute(2, 0, 1)

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        return self._pixels[:, y1:y2, x1:x2].expand(3, -1, -1)


def _decode(path: Path, image: ImageFile.ImageFile, warnings: list[str]) -> Pixels:
    """(h, w, 1 or 3) uint8."""
    if getattr(image, "n_frames", 1) > 1:
        warnings.append(f"{path} holds {image.n_frames} pictures; the first one is taken.")  # type: ignore[attr-defined]
    if image.mode in ("L", "I;16", "LA"):
        warnings.append(f"{path} is grey, but models learn from coloured images.")
    if image.format == "PNG" and _png_depth(path) == 16:
        return _decode_deep(path, warnings)
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        converted = image.convert("RGBA")
    elif image.mode == "CMYK":
        warnings.append(f"{path} has printing colours (CMYK), which were converted to RGB roughly.")
        converted = image.convert("RGB")
    elif image.mode in ("P", "YCbCr"):
        converted = image.convert("RGB")
    elif image.mode in ("L", "RGB", "RGBA"):
        image.load()
        converted = image
    else:
        raise UserError(
            f"{path} holds pixels of the kind {image.mode}, but 8 or 16 bits of grey or RGB are "
            "needed: convert it."
        )
    pixels = np.array(converted)  # a copy: what Pillow gives cannot be written to
    return _without_alpha(pixels.reshape(*pixels.shape[:2], -1))


def _decode_deep(path: Path, warnings: list[str]) -> Pixels:
    """A PNG of 16 bits, of which Pillow would keep the upper 8 of colours."""
    values = imagecodecs.png_decode(path.read_bytes())
    values = values.reshape(*values.shape[:2], -1)
    colours = values[..., :-1] if values.shape[2] in (2, 4) else values
    bits, sentence = depth_of(path, int(colours.max()))
    warnings.append(sentence)
    table = scaling(bits)
    return _without_alpha(table[np.minimum(values, len(table) - 1)])


def _without_alpha(pixels: Pixels) -> Pixels:
    if pixels.shape[2] not in (2, 4):
        return pixels
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    # Transparent everywhere: a program left the channel unfilled.
    return over_white(colours, alpha) if alpha.any() else colours


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(_PNG_DEPTH + 1)[-1]
