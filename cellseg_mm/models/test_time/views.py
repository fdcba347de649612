"""Views of an image for test-time augmentation, and the way back from what is found in them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from cellseg_mm.structures.probability_masks import ProbabilityMasks


@dataclass(frozen=True)
class View:
    """One of the eight ways to lay down an image: transposed or not, then flipped or not.

    A rotation by a quarter turn is a transpose and a flip. Pixels are moved, never interpolated.

    Attributes:
        transpose: Exchange rows and columns, first.
        flip_x: Mirror left and right.
        flip_y: Mirror top and bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: Tensor) -> Tensor:
        """The view (…, H', W') of an image (…, H, W)."""
        return self._flip(image.mT if self.transpose else image)

    def undo(self, detections: InstanceData) -> InstanceData:
        """Detections in the image of what was detected in the view.

        Args:
            detections: ``scores``, ``labels`` and ``masks``, as ``ProbabilityMasks``, whose boxes
                are those of the detections, too.

        Returns:
            New detections with ``bboxes``, ``scores``, ``labels`` and ``masks``.
        """
        masks = detections.masks
        x1, y1, x2, y2 = masks.boxes.unbind(dim=1)
        if self.flip_x:
            x1, x2 = masks.width - x2, masks.width - x1
        if self.flip_y:
            y1, y2 = masks.height - y2, masks.height - y1
        grids, height, width = self._flip(masks.grids), masks.height, masks.width
        if self.transpose:
            x1, y1, x2, y2 = y1, x1, y2, x2
            grids, height, width = grids.mT, width, height
        boxes = torch.stack([x1, y1, x2, y2], dim=1)
        return InstanceData(
            bboxes=boxes,
            scores=detections.scores,
            labels=detections.labels,
            masks=ProbabilityMasks(grids, boxes, height, width),
        )

    def _flip(self, tensor: Tensor) -> Tensor:
        return tensor.flip([dim for dim, flip in ((-1, self.flip_x), (-2, self.flip_y)) if flip])


_FLIPS = [View(False, flip_x, flip_y) for flip_x, flip_y in product((False, True), repeat=2)]

VIEWS = {
    "identity": [View()],
    "flips": _FLIPS,
    "dihedral": [*_FLIPS, *(View(True, view.flip_x, view.flip_y) for view in _FLIPS)],
}
"""Sets of views by name: the image itself; its mirror images; all eight."""


def resize_image(image: Tensor, scale: float) -> Tensor:
    """Scale an image (C, H, W), bilinearly, with antialiasing where it shrinks.

    Returns:
        (C, H', W') float32 with sides rounded to whole pixels, at least 1; the image itself where
        nothing changes.
    """
    size = [max(round(side * scale), 1) for side in image.shape[-2:]]
    if size == list(image.shape[-2:]):
        return image
    resized: Tensor = F.interpolate(
        image[None].float(), size, mode="bilinear", antialias=scale < 1
    )[0]
    return resized
