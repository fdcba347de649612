"""A strip under a picture that names the classes and counts their cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

INK = (30, 30, 30)
_BACKGROUND = (255, 255, 255)

Rgb = tuple[int, int, int]


def class_legend(
    counts: Sequence[tuple[str, int]], colours: Sequence[Rgb], width: int
) -> npt.NDArray[np.uint8]:
    """Draw a legend.

    Args:
        counts: Name of each class and number of its cells.
        colours: Of the classes.
        width: Pixels. A name that is wider is cut off.

    Returns:
        (h, width, 3) uint8, RGB; as high as the classes need.
    """
    size = font_size(width)
    font = legend_font(size)
    entries = [f"{name} {count:,}" for name, count in counts]
    # The places must not depend on the counts: pictures side by side share a height.
    places, rows = _flow([font.getlength(f"{name} 00,000") + 2 * size for name, _ in counts], width)
    line = round(size * 1.5)
    canvas = Image.new("RGB", (width, rows * line + size // 2), _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for entry, colour, (x, row) in zip(entries, colours, places, strict=True):
        middle = row * line + line / 2 + size / 4
        half = size * 0.4
        pen.rectangle((x, middle - half, x + 2 * half, middle + half), colour)
        pen.text((x + size * 1.2, middle), entry, INK, font, anchor="lm")
    return np.asarray(canvas)


def font_size(width: int) -> int:
    """Pixels, for a picture of a width."""
    return min(max(width // 45, 15), 28)


def legend_font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface that Matplotlib brings along: the same everywhere, with many alphabets."""
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size
    )


def _flow(widths: Sequence[float], limit: float) -> tuple[list[tuple[float, int]], int]:
    """Break items into rows like words: (x, row) of each, and the number of rows."""
    places: list[tuple[float, int]] = []
    x, row = 0.0, 0
    for width in widths:
        if x and x + width > limit:
            x, row = 0.0, row + 1
        places.append((x, row))
        x += width
    return places, row + 1
