"""Multi-scale training crops that keep whole cells and rare classes in view."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

from cellseg_mm.errors import UserError
from cellseg_mm.structures.label_map_masks import LabelMapMasks

Array = npt.NDArray[Any]


@TRANSFORMS.register_module()
class CellCrop(BaseTransform):
    """Cut a window of a random scale and resize it to a fixed size.

    The window measures ``size`` / scale pixels and is sampled from the image as it is: the whole
    image is never resized, and the cost does not depend on the number of cells. Some windows lie
    anywhere; the others hold a whole cell of a class that is drawn uniformly from those present, so
    that rare classes are seen often (classes are drawn first, as in class-aware sampling).

    The result always has ``size``, so that batches stack without padding. Where the image is
    smaller than the window, it lies at a random place of it, and ``fill`` surrounds it.

    A cell at the window's edge keeps its visible part. Where less than ``min_visible`` of it or
    fewer than ``min_area`` pixels are left, its class can no longer be told: it is flagged as
    ignored, for ``IgnoringMaxIoUAssigner`` to take it neither for a cell nor for background. Cells
    without a pixel are dropped.

    Random numbers come from NumPy's global generator, as in
    :class:`~cellseg_mm.datasets.transforms.albu_label_maps.AlbuLabelMaps`.

    Required Keys:

    - img (np.uint8, BGR)
    - gt_masks (LabelMapMasks)
    - gt_bboxes (HorizontalBoxes[torch.float32], tight)
    - gt_bboxes_labels (np.int64)
    - gt_ignore_flags (bool)

    Modified Keys: all of them, and

    - img_shape

    Args:
        size: Height and width of the result, or one number for both, pixels.
        scale_range: Smallest and largest scale, drawn log-uniformly; above 1 cells grow.
        rare_prob: Share of the windows that are placed by a cell of a class drawn uniformly.
        min_visible: Share of a cell's area that must be visible for it to be learned.
        min_area: Pixels of the result that a cell must have to be learned.
        fill: Colour around small images, BGR. The default is ImageNet's mean, which becomes
            (nearly) the zeros that the preprocessor pads with.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale_range: tuple[float, float] = (0.75, 1.33),
        rare_prob: float = 0.5,
        min_visible: float = 0.3,
        min_area: int = 8,
        fill: tuple[int, int, int] = (104, 116, 124),
    ) -> None:
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if min(self.size) < 1:
            raise UserError(f"size={size}: height and width must be 1 pixel or more.")
        if not 0 < scale_range[0] <= scale_range[1]:
            raise UserError(f"scale_range={scale_range}: give (smallest, largest), above 0.")
        for name, share in (("rare_prob", rare_prob), ("min_visible", min_visible)):
            if not 0 <= share <= 1:
                raise UserError(f"{name}={share}: it is a share, so set 0 to 1.")
        self.scale_range = scale_range
        self.rare_prob = rare_prob
        self.min_visible = min_visible
        self.min_area = min_area
        self.fill = fill

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``results`` in place and return it."""
        rng = np.random.default_rng(np.random.randint(1 << 31))  # noqa: NPY002
        scale = math.exp(rng.uniform(*np.log(self.scale_range)))
        height, width = (max(1, round(side / scale)) for side in self.size)
        cell = self._draw_cell(results, rng) if rng.random() < self.rare_prob else None
        rows, columns = cell or (None, None)
        masks: LabelMapMasks = results["gt_masks"]
        top = _draw_start(masks.height, height, rows, rng)
        left = _draw_start(masks.width, width, columns, rng)
        window = (top, left, top + height, left + width)

        shrinks = height > self.size[0]
        image = _cut(results["img"], window, self.fill)
        results["img"] = self._resize(image, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        results["img_shape"] = self.size
        # Unlike INTER_NEAREST, the exact kind keeps pixel centres where the image has them.
        planes = np.stack(
            [self._resize(_cut(p, window, 0), cv2.INTER_NEAREST_EXACT) for p in masks.planes]
        )
        self._rebuild(results, planes, _visible_shares(results, window))
        return results

    def _draw_cell(
        self, results: dict[str, Any], rng: np.random.Generator
    ) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Rows and columns of a cell of a class drawn uniformly; None where there are no cells."""
        labels = np.where(results["gt_ignore_flags"], -1, results["gt_bboxes_labels"])
        classes = np.unique(labels[labels >= 0])
        if not len(classes):
            return None
        cell = rng.choice(np.flatnonzero(labels == rng.choice(classes)))
        x1, y1, x2, y2 = (int(edge) for edge in results["gt_bboxes"].tensor[cell])
        return (y1, y2), (x1, x2)

    def _resize(self, window: Array, interpolation: int) -> Array:
        if window.shape[:2] == self.size:
            return np.ascontiguousarray(window)
        return cv2.resize(window, self.size[::-1], interpolation=interpolation)

    def _rebuild(self, results: dict[str, Any], planes: Array, shares: Array) -> None:
        masks = LabelMapMasks(planes, results["gt_masks"].ids)
        boxes, areas = masks.extents()
        kept = np.flatnonzero(areas)
        unclear = (shares[kept] < self.min_visible) | (areas[kept] < self.min_area)
        results["gt_masks"] = masks[kept]
        results["gt_bboxes"] = HorizontalBoxes(boxes[kept].astype(np.float32))
        results["gt_bboxes_labels"] = results["gt_bboxes_labels"][kept]
        results["gt_ignore_flags"] = results["gt_ignore_flags"][kept] | unclear

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, scale_range={self.scale_range}, "
            f"rare_prob={self.rare_prob}, min_visible={self.min_visible}, "
            f"min_area={self.min_area}, fill={self.fill})"
        )


def _draw_start(
    image: int, window: int, cell: tuple[int, int] | None, rng: np.random.Generator
) -> int:
    """Draw where a window starts along one axis, pixels.

    Args:
        image: Length of the image; a longer window holds all of it.
        window: Length of the window.
        cell: First and one past the last pixel of a cell that lies inside the window, or fills it.
        rng: Random numbers.
    """
    low, high = sorted((0, image - window))
    if cell is not None:
        first, last = sorted((cell[1] - window, cell[0]))
        low, high = max(low, first), min(high, last)
    return int(rng.integers(low, high, endpoint=True))


def _cut(image: Array, window: tuple[int, int, int, int], fill: int | tuple[int, ...]) -> Array:
    """Cut (top, left, bottom, right) out of (H, W[, 3]); ``fill`` where it leaves the image."""
    top, left, bottom, right = window
    inside = image[max(top, 0) : bottom, max(left, 0) : right]
    if inside.shape[:2] == (bottom - top, right - left):
        return inside
    canvas = np.empty((bottom - top, right - left, *image.shape[2:]), image.dtype)
    canvas[:] = fill
    row, column = max(-top, 0), max(-left, 0)
    canvas[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return canvas


def _visible_shares(
    results: dict[str, Any], window: tuple[int, int, int, int]
) -> npt.NDArray[np.float64]:
    """(N,) share of each cell's area inside the window; 0 for cells that it does not touch."""
    masks: LabelMapMasks = results["gt_masks"]
    top, left, bottom, right = window
    x1, y1, x2, y2 = results["gt_bboxes"].tensor.numpy().astype(int).T
    touched = (x1 < right) & (x2 > left) & (y1 < bottom) & (y2 > top)
    # Whole cells are counted in the part of the image that holds those which the window touches.
    around = (
        min([top, *y1[touched]]),
        min([left, *x1[touched]]),
        max([bottom, *y2[touched]]),
        max([right, *x2[touched]]),
    )
    length = int(masks.ids.max(initial=0)) + 1
    visible, whole = (_areas(masks.planes, part, length)[masks.ids] for part in (window, around))
    return np.where(touched, visible / np.maximum(whole, 1), 0.0)


def _areas(planes: Array, window: tuple[int, int, int, int], length: int) -> Array:
    """Pixels of each id, 0 … length - 1, inside a window."""
    top, left, bottom, right = window
    inside = planes[:, max(top, 0) : bottom, max(left, 0) : right]
    return np.bincount(inside.ravel(), minlength=length)
