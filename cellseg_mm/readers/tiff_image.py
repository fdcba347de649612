"""TIFF, BigTIFF and OME-TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.readers.image_reader import ImageReader, Level
from cellseg_mm.readers.pixel_values import Pixels, ToRgb, depth_of, scaling
from cellseg_mm.readers.tiff_layout import TiffLayout
from cellseg_mm.readers.tiff_plane import JPEG, TiffPlane

_RGB = tifffile.PHOTOMETRIC.RGB
_YCBCR = tifffile.PHOTOMETRIC.YCBCR
_BLACK_IS_ZERO = tifffile.PHOTOMETRIC.MINISBLACK
_WHITE_IS_ZERO = tifffile.PHOTOMETRIC.MINISWHITE
_PALETTE = tifffile.PHOTOMETRIC.PALETTE
_JPEG_2000 = {33003, 33004, 33005, 34712}
_PREMULTIPLIED, _STRAIGHT = 1, 2
"""Values of the tag ExtraSamples."""


class TiffImage(ImageReader):
    """The image of a TIFF; only the tiles or strips that a region touches are decoded.

    Args:
        path: The file.
        layout: Which of its pages are the image.

    Raises:
        UserError: Its pixels are not 8 or 16 bits of grey, RGB or a palette.
    """

    def __init__(self, path: Path, layout: TiffLayout) -> None:
        pages = [level[0] for level in layout.levels]
        super().__init__(path, [Level(page.imagewidth, page.imagelength) for page in pages])
        self.mpp = layout.mpp
        self.warnings = list(layout.warnings)
        self._planes = [[TiffPlane(path, page) for page in level] for level in layout.levels]
        for level in layout.levels:
            for page in level:
                _check_kind(path, page)
        to_rgb = self._conversion(pages[0])
        for plane in [plane for level in self._planes for plane in level]:
            plane.to_rgb = to_rgb

    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        planes = [plane.read(x1, y1, x2, y2) for plane in self._planes[level]]
        channels = np.concatenate(planes)
        return torch.from_numpy(channels[: 3 if len(channels) > 2 else 1]).expand(3, -1, -1)

    def _conversion(self, page: Any) -> ToRgb:
        """What takes the stored values to RGB; what it decides is added to the warnings."""
        if page.photometric == _PALETTE:
            return ToRgb(_palette(self.path, page))
        inverted = page.photometric == _WHITE_IS_ZERO
        extra = (*page.extrasamples, 0)[0]
        alpha = extra in (_STRAIGHT, _PREMULTIPLIED) and page.shaped[0] == 1 and not inverted
        samples = page.samplesperpixel - alpha
        if samples == len(self._planes[0]) == 1:
            self.warnings.append(f"{self.path} is grey, but models learn from coloured images.")
        elif samples == 3 and page.photometric in (_BLACK_IS_ZERO, _WHITE_IS_ZERO):
            self.warnings.append(f"Three grey samples of {self.path} are taken as RGB.")
        if not alpha and page.dtype == np.uint8:
            return ToRgb(scaling(8, inverted) if inverted else None)
        sampled = [raw for plane in self._planes[-1] for raw in plane.sample()]
        alpha = alpha and any(raw[..., -1].any() for raw in sampled)  # else it is not filled
        if page.dtype == np.uint8:
            return ToRgb(None, alpha, extra == _PREMULTIPLIED)
        largest = max((int(raw[..., :samples].max()) for raw in sampled), default=0)
        bits, sentence = depth_of(self.path, largest)
        self.warnings.append(sentence)
        return ToRgb(scaling(bits, inverted), alpha, extra == _PREMULTIPLIED)


def _check_kind(path: Path, page: Any) -> None:
    """Refuse what is no grey, RGB or palette image of 8 or 16 bits."""
    kind = page.photometric
    extras = [extra for extra in page.extrasamples if extra in (_STRAIGHT, _PREMULTIPLIED)]
    samples = page.samplesperpixel - len(extras)
    if page.dtype not in (np.uint8, np.uint16) or page.imagedepth != 1:
        raise UserError(
            f"{path} has {page.dtype} pixels, but 8 or 16 bits a channel are needed: convert it."
        )
    decoded = page.compression in JPEG or page.compression in _JPEG_2000
    known = {
        _RGB: samples >= 3,
        _YCBCR: samples == 3 and decoded,
        _BLACK_IS_ZERO: samples in (1, 3),
        _WHITE_IS_ZERO: samples in (1, 3),
        _PALETTE: samples == 1 and page.dtype == np.uint8,
    }
    if (page.bitspersample not in (8, 16) and kind != _PALETTE) or not known.get(kind, False):
        raise UserError(
            f"{path} holds pixels of the kind {getattr(kind, 'name', kind)} with "
            f"{page.samplesperpixel} samples of {page.bitspersample} bits, but grey, RGB or a "
            "palette of 8 or 16 bits is needed: convert it."
        )


def _palette(path: Path, page: Any) -> Pixels:
    colours = page.colormap
    if colours is None or colours.ndim != 2 or len(colours) != 3:
        raise UserError(f"{path} lacks the colours of its palette: save it again as RGB.")
    palette: Pixels = (colours.T >> 8 if colours.max() > 255 else colours.T).astype(np.uint8)
    return palette
