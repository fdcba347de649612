"""The image with the outlines of its cells, and a legend that counts the classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.cell_counts import CellCounts
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink
from cellseg_mm.structures.palette import class_colour, rgb
from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.class_legend import Rgb, class_legend
from cellseg_mm.visualization.outlines import outline, scaled_crop

_BESIDE = (np.arange(256) * 0.35).astype(np.uint8)
"""Brightness that is left beside a line, of each brightness."""

_WHITE = 0.3
"""Share of white in a line, so that it stands out on dark nuclei."""

Picture = npt.NDArray[np.uint8]


@contextmanager
def overlay_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write the overlay with its legend, as PNG or JPEG by the path's suffix."""
    with atomic_write(path) as unfinished:
        overlay = Overlay(image)
        yield overlay
        picture = np.concatenate([overlay.picture(), overlay.legend()])
        # JPEG halves the resolution of colours unless told not to, and lines are one pixel wide.
        Image.fromarray(picture).save(unfinished, quality=92, subsampling=0)


class Overlay:
    """Draws outlines on an image, or on its thumbnail.

    Lines have the colours of the classes, brightened, and lie on the cells' outermost pixels; the
    pixels beside them are darkened, so that they stand out on pale tissue as on dark nuclei. Memory
    is that of the picture.
    """

    def __init__(self, image: ResultImage) -> None:
        self._image = image
        self._counts = CellCounts(image)
        self._colours = [_bright(label) for label in range(len(image.classes))]
        self._scale = image.picture_scale
        height, width = (max(1, round(n * self._scale)) for n in (image.height, image.width))
        # Of each pixel the class whose line runs there, from 1.
        self._lines = np.zeros((height, width), np.uint8 if len(image.classes) < 255 else np.uint16)

    def add(self, batch: ResultCells) -> None:
        """See :class:`~cellseg_mm.inference.results.result_sink.ResultSink`."""
        self._counts.add(batch)
        for cell in batch.cells:
            self._draw(cell)

    def _draw(self, cell: ResultCell) -> None:
        crop = InstanceCrop(cell.number, cell.top, cell.left, cell.bitmap)
        crop = scaled_crop(crop, self._scale, *self._lines.shape)
        if crop.bitmap.size:
            h, w = crop.bitmap.shape
            window = self._lines[crop.top : crop.top + h, crop.left : crop.left + w]
            window[outline(crop.bitmap)] = cell.label + 1

    def picture(self) -> Picture:
        """(H, W, 3) uint8, RGB: the size of the image, or of its thumbnail."""
        picture = self._image.picture.copy()
        lines = self._lines > 0
        beside = cv2.dilate(lines.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & ~lines
        picture[beside] = _BESIDE[picture[beside]]
        picture[lines] = np.array(self._colours, np.uint8)[self._lines[lines] - 1]
        return picture

    def legend(self) -> Picture:
        """(h, W, 3) uint8, RGB: as wide as the picture."""
        counts = list(self._counts.by_class.items())
        return class_legend(counts, self._colours, self._lines.shape[1])


def _bright(label: int) -> Rgb:
    red, green, blue = (round(_WHITE * 255 + (1 - _WHITE) * v) for v in rgb(class_colour(label)))
    return red, green, blue
