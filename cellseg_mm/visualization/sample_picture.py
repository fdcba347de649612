"""Pictures of loader samples: outlines beside boxes, in the colours of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.loader_samples import LoaderSample
from cellseg_mm.visualization.overlay_picture import Panel, Rgb, overlay_picture

_STACK_WIDTH = 1600


def sample_picture(
    sample: LoaderSample, classes: Sequence[str], palette: Sequence[Rgb]
) -> npt.NDArray[np.uint8]:
    """Draw a sample in the colours of the classes, RGB from 0 to 255.

    Returns:
        (h, w, 3) uint8, RGB: the cells' outlines on the left, their boxes on the right.
    """
    height, width = sample.image.shape[:2]
    size = f"{width} × {height} px"
    if not sample.has_truth:
        empty = np.zeros(0, np.int64)
        title = f"{sample.name}, {size}: no truth at this size"
        return overlay_picture(sample.image, [Panel(title, [], empty)], classes, palette)
    boxes = [_box_crop(box, height, width) for box in sample.boxes]
    return overlay_picture(
        sample.image,
        [
            Panel(f"{sample.name}, {size}: outlines", sample.cells, sample.labels),
            Panel(f"Boxes of {len(boxes):,} cells", boxes, sample.labels),
        ],
        classes,
        palette,
    )


def stack_pictures(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Put one or more (h, w, 3) pictures below each other, each of at most 1,600 pixels in width.

    Returns:
        (h, ≤ 1,600, 3) uint8 on white.
    """
    reduced = [_reduce(picture, _STACK_WIDTH) for picture in pictures]
    broadest = max(picture.shape[1] for picture in reduced)
    padded = [
        np.pad(p, ((0, 0), (0, broadest - p.shape[1]), (0, 0)), constant_values=255)
        for p in reduced
    ]
    return np.concatenate(padded)


def _box_crop(box: npt.NDArray[np.float32], height: int, width: int) -> InstanceCrop:
    """A box as a filled cell, so that its outline is the box; clipped to the image."""
    x1, y1 = np.floor(box[:2]).astype(int).clip(0, (width, height)).tolist()
    x2, y2 = np.ceil(box[2:]).astype(int).clip(0, (width, height)).tolist()
    return InstanceCrop(0, y1, x1, np.ones((max(y2 - y1, 0), max(x2 - x1, 0)), bool))


def _reduce(picture: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    reduced = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8)
