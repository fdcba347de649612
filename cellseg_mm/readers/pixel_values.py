"""From stored pixel values to 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners fill of a 16-bit value."""


@dataclass(frozen=True)
class ToRgb:
    """How the pixels of a file become 8-bit ones.

    Attributes:
        table: The 8-bit value, (N,), or colour, (N, 3), of each stored value; None: as stored.
        alpha: The samples end with one of transparency, and pixels are laid over white.
        premultiplied: The colours have been multiplied by it already.
    """

    table: Pixels | None = None
    alpha: bool = False
    premultiplied: bool = False

    def __call__(self, raw: npt.NDArray[Any]) -> Pixels:
        """(h, w, samples) to (h, w, 1 or 3 or more) uint8, without the sample of transparency."""
        values: Pixels = raw
        if self.table is not None:
            values = self.table[np.minimum(raw, len(self.table) - 1)]
            if self.table.ndim == 2:
                values = values[:, :, 0]
        if not self.alpha:
            return values
        return over_white(values[..., :-1], values[..., -1:], self.premultiplied)


def over_white(colours: Pixels, alpha: Pixels, premultiplied: bool = False) -> Pixels:
    """Lay pixels of any transparency over white: (h, w, C) with alpha (h, w, 1) to (h, w, C)."""
    if alpha.min() == 255:
        return colours
    opacity = alpha.astype(np.float32) / 255
    part = colours if premultiplied else colours * opacity
    return np.clip(np.rint(part + 255 * (1 - opacity)), 0, 255).astype(np.uint8)


def scaling(bits: int, inverted: bool = False) -> Pixels:
    """The table that takes values of some bits to 8, in proportion; larger values are white."""
    values = np.linspace(0, 255, 1 << bits)
    return np.rint(values[::-1] if inverted else values).astype(np.uint8)


def depth_of(path: Path, largest: int) -> tuple[int, str]:
    """The bits that 16-bit values fill, and a sentence that says so.

    H&E images have white in them, so their brightest value tells the depth of the camera.
    """
    bits = next(bits for bits in DEPTHS if largest < 1 << bits)
    return bits, (
        f"{path} has 16 bits a channel; its brightest value is about {largest}, so 0 to "
        f"{(1 << bits) - 1} ({bits} bits) were scaled to 8 bits in proportion."
    )
