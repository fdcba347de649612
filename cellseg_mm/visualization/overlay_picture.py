"""A picture of an image with its cells: panels side by side, each with a title and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.class_legend import (
    INK,
    Rgb,
    class_legend,
    font_size,
    legend_font,
)
from cellseg_mm.visualization.outlines import draw_outlines

_ENLARGE_TO = 1200
"""Images are enlarged by the least whole factor that brings their longer side to this, pixels."""
_REDUCE_TO = 2000
"""Images whose longer side exceeds this are reduced to it, pixels."""
_THICKNESS = 2
"""Outlines, pixels: a single one is lost where the tissue has a similar colour."""
_MIN_PANEL_WIDTH = 400
"""Room for the title and the legend under a narrow image, pixels."""
_GAP = 12
_BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """The cells to draw on one copy of the image.

    Attributes:
        title: The line above the image.
        cells: N cells; later ones are drawn over earlier ones.
        labels: (N,) int, class index of each cell.
    """

    title: str
    cells: Sequence[InstanceCrop]
    labels: npt.NDArray[np.integer]


def overlay_picture(
    image: npt.NDArray[np.uint8],
    panels: Sequence[Panel],
    classes: Sequence[str],
    palette: Sequence[Rgb],
) -> npt.NDArray[np.uint8]:
    """Draw panels side by side: outlines in the colours of the classes, and counts of the classes.

    Small images are enlarged by a whole factor, very large ones reduced.

    Args:
        image: (H, W, 3) uint8, RGB.
        panels: One or more.
        classes: C class names.
        palette: RGB colours of the classes, 0 to 255; used again from the start if fewer than C.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    scale = picture_scale(*image.shape[:2])
    base = resize_picture(image, scale)
    return np.concatenate(
        [_draw_panel(base, panel, classes, palette, scale) for panel in panels], axis=1
    )


def picture_scale(height: int, width: int) -> float:
    """Picture pixels for each image pixel: a whole number, or below 1 for a very large image."""
    longer = max(height, width)
    if longer > _REDUCE_TO:
        return _REDUCE_TO / longer
    return math.ceil(_ENLARGE_TO / longer)


def resize_picture(image: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 for viewing, to (round(H × scale), round(W × scale), 3)."""
    if scale == 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _draw_panel(
    base: npt.NDArray[np.uint8],
    panel: Panel,
    classes: Sequence[str],
    palette: Sequence[Rgb],
    scale: float,
) -> npt.NDArray[np.uint8]:
    """One panel with a margin around it; all panels of one image have the same shape."""
    colours = [palette[label % len(palette)] for label in range(len(classes))]
    outlines = draw_outlines(
        base,
        panel.cells,
        np.array(colours, np.uint8).reshape(-1, 3)[panel.labels],
        scale,
        _THICKNESS,
    )
    height, width = base.shape[:2]
    panel_width = max(width, _MIN_PANEL_WIDTH)
    size = font_size(panel_width)
    line = round(size * 1.5)
    counts = np.bincount(panel.labels, minlength=len(classes)).tolist()
    legend = class_legend(list(zip(classes, counts, strict=True)), colours, panel_width)

    image_top = _GAP + line
    legend_top = image_top + height + _GAP // 2
    canvas = Image.new(
        "RGB", (panel_width + 2 * _GAP, legend_top + len(legend) + _GAP // 2), _BACKGROUND
    )
    canvas.paste(Image.fromarray(outlines), (_GAP, image_top))
    canvas.paste(Image.fromarray(legend), (_GAP, legend_top))
    pen = ImageDraw.Draw(canvas)
    pen.text((_GAP, _GAP // 2 + line / 2), panel.title, INK, legend_font(size), anchor="lm")
    return np.asarray(canvas)
