"""Mask R-CNN's RoI head with two looks at a box, and room around it for the mask."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor

from cellseg_mm.errors import UserError


@MODELS.register_module()
class RefiningRoIHead(StandardRoIHead):
    """``StandardRoIHead`` that refines boxes more than once and predicts masks in larger boxes.

    A mask ends where its box ends, so a box that is too small cuts its cell off; and the scores of
    a box that lies badly say little about the cell. Both cost little to mend, and no parameters:

    - At test time, the box head looks again at the boxes that it refined, as the stages of a
      cascade do, but with the same weights (iterative box regression).
    - Masks are predicted in boxes that are larger than those of the cells, in training and at test
      time. The cells' own boxes stay as they are.

    With the defaults it is the stock head.

    Args:
        box_rounds: How often the box head looks at a box at test time, 1 to 4.
        mask_scale: Width and height of a mask's box as a multiple of the cell's, 1 to 4.
        **kwargs: Those of ``StandardRoIHead``.

    Raises:
        UserError: ``box_rounds`` or ``mask_scale`` is not between 1 and 4.
    """

    def __init__(self, *, box_rounds: int = 1, mask_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (1 <= box_rounds <= 4 and 1 <= mask_scale <= 4):
            raise UserError(
                f"box_rounds and mask_scale of RefiningRoIHead are {box_rounds} and {mask_scale}: "
                "choose numbers from 1 to 4."
            )
        self.box_rounds = box_rounds
        self.mask_scale = mask_scale

    def mask_loss(
        self, x: Any, sampling_results: list[Any], bbox_feats: Any, batch_gt_instances: list[Any]
    ) -> dict[str, Any]:
        """As the stock head's, with larger boxes; the box loss has been taken before."""
        for result, gt in zip(sampling_results, batch_gt_instances, strict=True):
            size = gt.masks.height, gt.masks.width
            result.pos_priors = enlarged(result.pos_priors, self.mask_scale, size)
        losses: dict[str, Any] = super().mask_loss(
            x, sampling_results, bbox_feats, batch_gt_instances
        )
        return losses

    def predict_bbox(
        self,
        x: Any,
        batch_img_metas: list[dict[str, Any]],
        rpn_results_list: list[Any],
        rcnn_test_cfg: Any,
        rescale: bool = False,
    ) -> list[Any]:
        """As the stock head's, of boxes that it refined ``box_rounds`` - 1 times."""
        for _ in range(self.box_rounds - 1):
            rpn_results_list = self._refined(x, batch_img_metas, rpn_results_list)
        found: list[Any] = super().predict_bbox(
            x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale
        )
        return found

    def _refined(
        self, x: Any, batch_img_metas: list[dict[str, Any]], proposals: list[Any]
    ) -> list[InstanceData]:
        """The boxes of each image after a look at them, each as its most probable class has it."""
        boxes = [found.bboxes for found in proposals]
        result = self._bbox_forward(x, bbox2roi(boxes))
        best = result["cls_score"][:, :-1].argmax(dim=1)
        deltas = deltas_of(result["bbox_pred"], best)
        parts = deltas.split([len(some) for some in boxes])
        decode = self.bbox_head.bbox_coder.decode
        return [
            InstanceData(bboxes=decode(some, part, max_shape=meta["img_shape"]))
            for some, part, meta in zip(boxes, parts, batch_img_metas, strict=True)
        ]

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


def deltas_of(predicted: Tensor, labels: Tensor) -> Tensor:
    """The deltas (N, 4) of one class each: (N, 4) for all classes, or (N, C × 4)."""
    if predicted.shape[1] == 4:
        return predicted
    return predicted.unflatten(1, (-1, 4))[torch.arange(len(labels)), labels]
