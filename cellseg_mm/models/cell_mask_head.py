"""Mask R-CNN's mask head on planes: targets sampled on the device, results as RLE."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS
from torch import Tensor
from torch.nn.modules.utils import _pair

from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.probability_masks import ProbabilityMasks
from cellseg_mm.structures.rle_masks import RLEMasks


@MODELS.register_module()
class CellMaskHead(FCNMaskHead):
    """``FCNMaskHead`` whose cost does not grow with instances × image size.

    Layers, parameters and numbers are those of the stock head. Two steps differ: mask targets are
    sampled from :class:`~cellseg_mm.structures.label_map_masks.LabelMapMasks` on the model's
    device, and predicted masks leave as :class:`~cellseg_mm.structures.rle_masks.RLEMasks` instead
    of an (N, H, W) canvas.

    Args: those of ``FCNMaskHead``.
    """

    def get_targets(
        self, sampling_results: list[Any], batch_gt_instances: list[Any], rcnn_train_cfg: Any
    ) -> Tensor:
        """(R, h, w) float32 targets of all positive boxes of the batch, images in order."""
        if not all(isinstance(gt.masks, LabelMapMasks) for gt in batch_gt_instances):
            return super().get_targets(sampling_results, batch_gt_instances, rcnn_train_cfg)
        binarize = not rcnn_train_cfg.get("soft_mask_target", False)
        targets = []
        for result, gt in zip(sampling_results, batch_gt_instances, strict=True):
            boxes, masks = result.pos_priors, gt.masks
            limit = boxes.new_tensor([masks.width, masks.height, masks.width, masks.height])
            boxes = boxes.clamp(min=0).minimum(limit)
            targets.append(
                masks.sample(
                    boxes, result.pos_assigned_gt_inds, _pair(rcnn_train_cfg.mask_size), binarize
                )
            )
        return torch.cat(targets)

    def predict_by_feat(
        self,
        mask_preds: tuple[Tensor, ...],
        results_list: list[Any],
        batch_img_metas: list[dict[str, Any]],
        rcnn_test_cfg: Any,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> list[Any]:
        """As the stock head, with ``masks`` an ``RLEMasks`` also where nothing was found.

        With ``keep_probabilities`` in ``rcnn_test_cfg``, masks that were found stay
        ``ProbabilityMasks``: no threshold is applied yet.
        """
        results_list = super().predict_by_feat(
            mask_preds, results_list, batch_img_metas, rcnn_test_cfg, rescale, activate_map
        )
        for results in results_list:
            if isinstance(results.masks, Tensor) and not len(results.masks):
                results.masks = RLEMasks([], *results.masks.shape[1:])
        return results_list

    def _predict_by_feat_single(
        self,
        mask_preds: Tensor,
        bboxes: Tensor,
        labels: Tensor,
        img_meta: dict[str, Any],
        rcnn_test_cfg: Any,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> ProbabilityMasks | RLEMasks | Tensor:
        """Masks of one image; as in the stock head, ``rescale`` scales the boxes in place."""
        threshold = rcnn_test_cfg.mask_thr_binary
        if threshold < 0:  # the stock head's form for debugging: probabilities as uint8
            return super()._predict_by_feat_single(
                mask_preds, bboxes, labels, img_meta, rcnn_test_cfg, rescale, activate_map
            )
        height, width = img_meta["ori_shape"][:2]
        scale = bboxes.new_tensor(img_meta["scale_factor"]).repeat(2)
        if rescale:
            bboxes /= scale
        else:
            height = int(np.round(height * scale[1].item()))
            width = int(np.round(width * scale[0].item()))
        probabilities = torch.as_tensor(mask_preds, device=bboxes.device)
        probabilities = (
            probabilities[:, 0]
            if self.class_agnostic
            else probabilities[torch.arange(len(labels), device=labels.device), labels]
        )
        if not activate_map:
            probabilities = probabilities.sigmoid()
        masks = ProbabilityMasks(probabilities, bboxes, height, width)
        return masks if rcnn_test_cfg.get("keep_probabilities") else masks.to_rle(threshold)
