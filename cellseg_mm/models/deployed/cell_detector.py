"""Mask R-CNN for results: what is thrown away afterwards is not computed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign
from mmdet.models.dense_heads import RPNHead
from mmdet.models.detectors import MaskRCNN
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor, nn
from torchvision.ops import nms

from cellseg_mm.models.cell_mask_head import CellMaskHead
from cellseg_mm.models.cell_roi_head import CellRoIHead, enlarged
from cellseg_mm.models.deployed.folded_efficientnet import FoldedEfficientNet, can_fold
from cellseg_mm.models.deployed.proposals import ProposalFinder
from cellseg_mm.ops.roi_align_rows import FeatureRows

_PROPOSALS_AT_ONCE = 256
_MASKS_AT_ONCE = 32
"""Boxes that are classified, and cells whose masks are predicted, together.

Their features stay in a processor's cache, and their memory is used again.
"""


CROWDED = 2
"""An image is crowded if its proposals are fewer than so many times its cells.

It is looked at again with more proposals. Any image may then have so many times the cells that
``max_per_img`` says.
"""

RESERVE = 0.5
"""Share of a least score that cells near an image's border need, if they are asked for."""


class Detections(NamedTuple):
    """N cells of one image, best first, and after them those that do not reach their least score.

    Attributes:
        boxes: (N, 4) float32, xyxy in image pixels.
        scores: (N,) float32, the probability of the cell's class.
        labels: (N,) int64.
        probabilities: (N, C) float32, of each class; what they lack of 1 is background.
        masks: (N, h, w) float32, the mask's probabilities.
        mask_boxes: (N, 4) float32, xyxy in image pixels, what the masks fill.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    probabilities: Tensor
    masks: Tensor
    mask_boxes: Tensor


class CellDetector(nn.Module):
    """A Mask R-CNN whose steps are in the order that costs least.

    It finds what the stock detector finds with class-agnostic NMS, of the cells that reach a score:

    - scores are cut before NMS, not after it (a box is suppressed by better ones only);
    - a proposal gives one cell, of its best class among those that reach their least score;
    - masks are predicted for the cells that are left, and of their class only;
    - features have their channels together, batch norms are folded, and the backbone's wide layers
      run in blocks;
    - where a processor multiplies bfloat16, the neck and the mask head run in it.

    Args:
        model: The detector, in evaluation mode; :func:`can_deploy` says whether it will do. Its
            modules are shared, and changed to ``torch.channels_last``.
        full_area: Pixels of an image for which the RPN's ``nms_pre`` and ``max_per_img`` are meant:
            a smaller one gives fewer proposals in proportion, a crowded one more. None = they hold
            for any image, as for the stock detector.

    Attributes:
        max_per_image: The most cells that an image gets; below 1, there is no limit.
    """

    def __init__(self, model: MaskRCNN, full_area: int | None = None) -> None:
        super().__init__()
        network: Any = getattr(model.backbone, "timm_model", None)
        self.backbone = FoldedEfficientNet(network) if can_fold(network) else model.backbone
        self.neck = model.neck
        self.rpn_head = model.rpn_head
        self.bbox_head = model.roi_head.bbox_head
        self.mask_head = model.roi_head.mask_head
        self.test_cfg = model.test_cfg.rcnn
        self._mask_scale: float = getattr(model.roi_head, "mask_scale", 1.0)
        self._proposals = ProposalFinder(model.rpn_head, full_area)
        self._more_if_crowded = full_area is not None
        most: int = self.test_cfg.max_per_img
        self.max_per_image = CROWDED * most if self._more_if_crowded else most
        self._box_extractor = model.roi_head.bbox_roi_extractor
        self._mask_extractor = model.roi_head.mask_roi_extractor
        first = self.bbox_head.shared_fcs[0]
        # Pooled features have their channels last: the weights' columns move with them.
        bins = self._box_extractor.roi_layers[0].output_size[0] ** 2
        weight = first.weight.detach().view(len(first.weight), -1, bins).transpose(1, 2)
        self.first_weight = nn.Parameter(weight.flatten(1).contiguous())
        self._dtype = torch.float32
        if _multiplies_bfloat16() and next(model.parameters()).device.type == "cpu":
            # Twice as fast. What decides on cells stays as it is: with the backbone in bfloat16,
            # one cell of forty changed by more than an IoU of .9.
            self._dtype = torch.bfloat16
            self.neck = copy.deepcopy(self.neck).to(self._dtype)
            self.mask_head = copy.deepcopy(self.mask_head).to(self._dtype)
        self.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(
        self,
        images: Tensor,
        sizes: Sequence[tuple[int, int]],
        min_scores: Tensor,
        margin: int = 0,
    ) -> list[Detections]:
        """Find the cells of a batch.

        Args:
            images: (B, 3, H, W) float32, normalised and padded as for the detector.
            sizes: Height and width of each image without padding, pixels.
            min_scores: (C,) least score of each class.
            margin: So near to the border, pixels, ``RESERVE`` × the least score is enough; of the
                other cells, nothing changes.
        """
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        maps = [m.float() for m in self.neck([f.to(self._dtype) for f in features])]
        proposals = self._proposals(maps, sizes)
        found = []
        for index, (boxes, size) in enumerate(zip(proposals, sizes, strict=True)):
            one = [level[index : index + 1] for level in maps]
            found.append(self._find(one, boxes, size, min_scores, margin))
        return found

    def _find(
        self,
        maps: list[Tensor],
        proposals: Tensor,
        size: tuple[int, int],
        min_scores: Tensor,
        margin: int,
    ) -> Detections:
        rows = _rows(maps, self._box_extractor)
        found = self._cells(rows, proposals, size, min_scores, margin)
        if self._more_if_crowded and len(found[0]) * CROWDED > len(proposals):
            (proposals,) = self._proposals(maps, [size], crowded=True)
            found = self._cells(rows, proposals, size, min_scores, margin)
        if self.max_per_image > 0:
            found = tuple(part[: self.max_per_image] for part in found)
        boxes, scores, labels, probabilities = found
        if _pyramid(self._mask_extractor) != _pyramid(self._box_extractor):
            rows = _rows(maps, self._mask_extractor)
        side = self._mask_extractor.roi_layers[0].output_size[0]
        mask_boxes = enlarged(boxes, self._mask_scale, size)
        parts = [
            self._masks(rows.pool(some, side), some_labels, side)
            for some, some_labels in zip(
                mask_boxes.split(_MASKS_AT_ONCE), labels.split(_MASKS_AT_ONCE), strict=True
            )
        ]
        masks = torch.cat(parts)
        return Detections(boxes, scores, labels, probabilities, masks, mask_boxes)

    def _cells(
        self,
        rows: FeatureRows,
        proposals: Tensor,
        size: tuple[int, int],
        min_scores: Tensor,
        margin: int,
    ) -> tuple[Tensor, ...]:
        """Boxes (N, 4), scores (N,), labels (N,) and probabilities (N, C) of cells, best first."""
        head = self.bbox_head
        side = self._box_extractor.roi_layers[0].output_size[0]
        first, second = head.shared_fcs
        parts = []
        for some in proposals.split(_PROPOSALS_AT_ONCE):
            features = rows.pool(some, side).flatten(1)
            features = F.linear(features, self.first_weight, first.bias).relu_()
            parts.append(second(features).relu_())
        features = torch.cat(parts)
        probabilities = head.fc_cls(features).softmax(dim=1)[:, :-1]
        factors = torch.where(near_border(proposals, size, margin), RESERVE, 1.0)
        reach = (probabilities >= factors[:, None] * min_scores).any(dim=1).nonzero()[:, 0]
        probabilities = probabilities[reach]
        scores, labels = _best_classes(probabilities, min_scores)
        deltas = head.fc_reg(features[reach]).unflatten(1, (-1, 4))
        if not head.reg_class_agnostic:
            deltas = deltas[torch.arange(len(reach), device=reach.device), labels][:, None]
        boxes = head.bbox_coder.decode(proposals[reach], deltas[:, 0], max_shape=size)
        # A cell of the reserve must not suppress one that reaches the least score of its class.
        ranks = scores + (scores >= min_scores[labels])
        kept = nms(boxes, ranks, self.test_cfg.nms.iou_threshold)
        return tuple(part[kept] for part in (boxes, scores, labels, probabilities))

    def _masks(self, pooled: Tensor, labels: Tensor, side: int) -> Tensor:
        """Mask probabilities (n, 2 × side, 2 × side) of cells.

        Args:
            pooled: (n, side × side, C) their features.
            labels: (n,) their classes.
            side: Of the grid of features.
        """
        head = self.mask_head
        features = pooled.to(self._dtype).mT.unflatten(2, (side, side))
        for conv in head.convs:
            features = conv(features)
        features = features.permute(0, 2, 3, 1).flatten(0, 2)
        # A transposed convolution without overlap is one product for each of its 2 × 2 places.
        weight = head.upsample.weight.permute(0, 2, 3, 1).flatten(1)
        features = torch.addmm(head.upsample.bias.repeat(4), features, weight).relu_()
        channel = torch.zeros_like(labels) if head.class_agnostic else labels
        features = features.view(len(labels), 4 * side * side, head.conv_logits.in_channels)
        logits = torch.bmm(features, head.conv_logits.weight[channel, :, :, 0])
        logits = logits[..., 0] + head.conv_logits.bias[channel, None]
        grid = logits.view(len(labels), side, side, 2, 2).permute(0, 1, 3, 2, 4)
        return grid.reshape(len(labels), 2 * side, 2 * side).float().sigmoid()


def can_deploy(model: Any) -> bool:
    """Whether a detector is one that :class:`CellDetector` reproduces."""
    roi_heads = (StandardRoIHead, CellRoIHead)
    if type(model) is not MaskRCNN or type(model.roi_head) not in roi_heads:
        return False
    roi_head = model.roi_head
    rpn, box, mask = model.rpn_head, roi_head.bbox_head, roi_head.mask_head
    extractors = (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor)
    return bool(
        model.with_neck
        and type(rpn) is RPNHead
        and not isinstance(rpn.rpn_conv, nn.Sequential)
        and type(box) is Shared2FCBBoxHead
        and type(mask) is CellMaskHead
        and isinstance(mask.upsample, nn.ConvTranspose2d)
        and mask.upsample.stride == mask.upsample.kernel_size == (2, 2)
        and all(type(head.bbox_coder) is DeltaXYWHBBoxCoder for head in (rpn, box))
        and all(
            type(extractor) is SingleRoIExtractor
            and all(
                isinstance(layer, RoIAlign)
                and layer.sampling_ratio == 0
                and layer.aligned
                and layer.pool_mode == "avg"
                for layer in extractor.roi_layers
            )
            for extractor in extractors
        )
        and all(cfg.nms.type == "nms" for cfg in (model.test_cfg.rpn, model.test_cfg.rcnn))
    )


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; others would convert forth and back."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def near_border(boxes: Tensor, size: tuple[int, int], margin: int) -> Tensor:
    """Which boxes (N, 4) xyxy come nearer than ``margin`` pixels to an image's border; (N,) bool.

    With a margin of 0, none.
    """
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    inside = (x1 >= margin) & (y1 >= margin) & (x2 <= width - margin) & (y2 <= height - margin)
    return ~inside if margin else torch.zeros_like(inside)


def _best_classes(probabilities: Tensor, min_scores: Tensor) -> tuple[Tensor, Tensor]:
    """Score and label of the most probable class among those that reach their least score.

    Where none does, of all classes.
    """
    reached = probabilities >= min_scores
    reached |= ~reached.any(dim=1, keepdim=True)
    scores, labels = probabilities.where(reached, 0).max(dim=1)
    return scores, labels


def _pyramid(extractor: SingleRoIExtractor) -> tuple[list[int], int]:
    return list(extractor.featmap_strides), extractor.finest_scale


def _rows(maps: list[Tensor], extractor: SingleRoIExtractor) -> FeatureRows:
    strides, finest_scale = _pyramid(extractor)
    return FeatureRows(maps[: len(strides)], strides, finest_scale)
