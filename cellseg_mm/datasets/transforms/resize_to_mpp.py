"""Bring an image to the scale of a network."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from PIL import Image

from cellseg_mm.readers.scale import SAME
from cellseg_mm.structures.label_map_masks import LabelMapMasks


@TRANSFORMS.register_module()
class ResizeToMpp(BaseTransform):
    """Resize an image, and its cells where they are loaded, to a number of µm per pixel.

    As ``cellseg segment`` does it: by Lanczos' filter, and not at all within 2 % of the scale or
    where the image's own is not known. Planes take the nearest id; cells without a pixel are
    dropped. Detections come back in pixels of the original image by ``scale_factor``.

    Required Keys:

    - img (np.uint8, BGR)
    - mpp (float), µm per pixel of the image (optional)
    - gt_masks (LabelMapMasks), gt_bboxes, gt_bboxes_labels, gt_ignore_flags (optional)

    Modified Keys: img, img_shape, and those of the cells.

    Added Keys:

    - scale_factor (tuple of float), new by old width and height

    Args:
        mpp: µm per pixel that the network sees; None leaves every image as it is.
    """

    def __init__(self, mpp: float | None) -> None:
        self.mpp = mpp

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``results`` in place and return it."""
        height, width = results["img"].shape[:2]
        stated = results.get("mpp")
        factor = stated / self.mpp if self.mpp and stated else 1.0
        if abs(factor - 1) <= SAME:
            results["scale_factor"] = (1.0, 1.0)
            return results
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        picture = Image.fromarray(results["img"])
        results["img"] = np.array(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3))
        results["img_shape"] = size[::-1]
        results["scale_factor"] = (size[0] / width, size[1] / height)
        if "gt_masks" in results:
            self._resize_cells(results, size)
        return results

    def _resize_cells(self, results: dict[str, Any], size: tuple[int, int]) -> None:
        masks = results["gt_masks"]
        # Unlike INTER_NEAREST, the exact kind keeps pixel centres where the image has them.
        planes = [cv2.resize(p, size, interpolation=cv2.INTER_NEAREST_EXACT) for p in masks.planes]
        masks = LabelMapMasks(np.stack(planes), masks.ids)
        boxes, areas = masks.extents()
        kept = np.flatnonzero(areas)
        results["gt_masks"] = masks[kept]
        results["gt_bboxes"] = HorizontalBoxes(boxes[kept].astype(np.float32))
        for key in ("gt_bboxes_labels", "gt_ignore_flags"):
            results[key] = results[key][kept]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mpp={self.mpp})"
