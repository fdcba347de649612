"""The square that a picture of a cell shows."""

from __future__ import annotations

_LEAST_SIDE = 48
_MARGIN = 1.6


def crop_window(box: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int, int]:
    """A square around a cell, shifted into the image where it fits.

    Args:
        box: Of the cell, xywh, pixels.
        height: Of the image, pixels.
        width: Of the image, pixels.

    Returns:
        Left, top and side of the square, pixels. It is as large as the shorter side of the image
        where the cell needs more than that.
    """
    x, y, w, h = box
    side = min(max(round(_MARGIN * max(w, h)), _LEAST_SIDE), height, width)
    left = min(max(round(x + w / 2 - side / 2), 0), width - side)
    top = min(max(round(y + h / 2 - side / 2), 0), height - side)
    return left, top, side
