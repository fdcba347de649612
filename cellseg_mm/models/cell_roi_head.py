"""Mask R-CNN's RoI head with room around a cell for its mask."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from torch import Tensor

from cellseg_mm.errors import UserError


@MODELS.register_module()
class CellRoIHead(StandardRoIHead):
    """``StandardRoIHead`` that predicts masks in boxes larger than those of the cells.

    A mask ends where its box ends, so that a box which is a little too small cuts its cell off with
    a straight edge. At test time, a mask may fill some of what lies around its box. The cells' own
    boxes stay as they are, and so does training: it shows the mask head proposals, which lie about
    cells as badly as these boxes do.

    Args:
        mask_scale: Width and height of a mask's box as a multiple of the cell's, 1 to 4, at test
            time; with 1, it is the stock head.
        **kwargs: Those of ``StandardRoIHead``.

    Raises:
        UserError: ``mask_scale`` is not between 1 and 4.
    """

    def __init__(self, *, mask_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 <= mask_scale <= 4:
            raise UserError(f"mask_scale of CellRoIHead is {mask_scale}: choose 1 to 4.")
        self.mask_scale = mask_scale

    def predict_mask(
        self,
        x: Any,
        batch_img_metas: list[dict[str, Any]],
        results_list: list[Any],
        rescale: bool = False,
    ) -> list[Any]:
        """As the stock head's, in larger boxes; ``bboxes`` of the results are the cells' own."""
        boxes = [found.bboxes.clone() for found in results_list]  # the mask head scales in place
        for found, meta in zip(results_list, batch_img_metas, strict=True):
            found.bboxes = enlarged(found.bboxes, self.mask_scale, meta["img_shape"])
        masked: list[Any] = super().predict_mask(x, batch_img_metas, results_list, rescale)
        for found, own, meta in zip(masked, boxes, batch_img_metas, strict=True):
            scale = own.new_tensor(meta["scale_factor"]).repeat(2) if rescale else 1.0
            found.bboxes = own / scale
        return masked


def enlarged(boxes: Tensor, scale: float, size: tuple[int, ...]) -> Tensor:
    """Boxes (N, 4) xyxy, ``scale`` times as wide and high, cut at an image's (height, width)."""
    if scale == 1:
        return boxes
    height, width = size[:2]
    more = (boxes[:, 2:] - boxes[:, :2]) * ((scale - 1) / 2)
    limit = boxes.new_tensor([width, height, width, height])
    return torch.cat([boxes[:, :2] - more, boxes[:, 2:] + more], dim=1).clamp(min=0).minimum(limit)
