"""Training with images in which some of the classes are not annotated.

Data sets that are trained together know different classes. Where an image's annotators did not look
for a class, a box without a label may hold a cell of it, so "background" is too much to say. What
the image does say of such a box is "background, or a cell of a class that is not annotated here";
the loss is the negative logarithm of that probability,

    -log (p_background + Σ p_k)    over the classes k that are not annotated,

as in Cermelli et al., *Modeling the Background for Incremental Learning in Semantic Segmentation*,
CVPR 2020. No logit of such a class is ever pushed down by it. To leave these logits out of the
softmax alone would not do that: a cell of class k would still push the background's logit up,
and k would lose to it. Boxes with a label have the stock loss, for classes exclude each other.

The RPN stays as it is. It knows no classes, so all it could do is to learn nothing from the boxes
without a label, the true background included; and its scores only rank boxes. What it should not
take for background can be marked as ignored (``data_prep/prepare.py --ignore-unlabelled``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.registry import MODELS
from torch import Tensor, nn

from cellseg_mm.errors import UserError
from cellseg_mm.models.cell_roi_head import CellRoIHead


@MODELS.register_module()
class PartialLabelBBoxHead(Shared2FCBBoxHead):
    """``Shared2FCBBoxHead`` whose loss knows which classes an image is not annotated for.

    Where all images of a batch are annotated for all classes, it is the stock head's.

    Attributes:
        unannotated: For each image of the batch the labels that it is not annotated for; a
            ``PartialLabelRoIHead`` sets them.

    Args: those of ``Shared2FCBBoxHead``.

    Raises:
        UserError: The loss of the classes is not a softmax's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.custom_activation or getattr(self.loss_cls, "use_sigmoid", False):
            raise UserError(
                f"Images that lack classes need CrossEntropyLoss with use_sigmoid=False, but the "
                f"box head's loss_cls is {type(self.loss_cls).__name__}: change loss_cls."
            )
        self.unannotated: Sequence[Sequence[int]] = ()

    def loss(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        rois: Tensor,
        labels: Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As the stock head, with the loss above for background boxes of images that lack classes.

        Args:
            cls_score: (R, C + 1) logits, the background's last.
            bbox_pred: (R, 4 or 4C).
            rois: (R, 5), the first column is the number of the image in the batch.
            labels: (R,) int64, C for background.
            *args: Those of the stock head.
            **kwargs: Those of the stock head.
        """
        if any(self.unannotated):
            unknown = torch.zeros(len(self.unannotated), self.num_classes, dtype=torch.bool)
            for image, missing in enumerate(self.unannotated):
                unknown[image, list(missing)] = True
            of_boxes = unknown.to(rois.device)[rois[:, 0].long()]
            of_boxes &= (labels == self.num_classes)[:, None]
            cls_score = join_background(cls_score, of_boxes)
        losses: dict[str, Any] = super().loss(cls_score, bbox_pred, rois, labels, *args, **kwargs)
        return losses


def join_background(logits: Tensor, joined: Tensor) -> Tensor:
    """Let the background stand for classes, too: its probability becomes the sum of theirs.

    Args:
        logits: (R, C + 1), the background's last.
        joined: (R, C) bool, the classes that join the background.

    Returns:
        (R, C + 1) logits of the joined classes; rows without any are unchanged.
    """
    ours = torch.cat([joined, joined.new_ones(len(joined), 1)], dim=1)
    background = logits.masked_fill(~ours, -torch.inf).logsumexp(dim=1, keepdim=True)
    background = torch.where(joined.any(dim=1, keepdim=True), background, logits[:, -1:])
    return torch.cat([logits[:, :-1].masked_fill(joined, -torch.inf), background], dim=1)


class _TellsBoxHeads:
    """Passes on which classes the images of a batch are not annotated for."""

    bbox_head: nn.Module

    def loss(self, x: Any, rpn_results_list: Any, batch_data_samples: Any) -> dict[str, Any]:
        """As the stock head."""
        unannotated = [sample.metainfo.get("unannotated", ()) for sample in batch_data_samples]
        stages: Any = (
            self.bbox_head if isinstance(self.bbox_head, nn.ModuleList) else [self.bbox_head]
        )
        for head in stages:
            head.unannotated = unannotated
        losses: dict[str, Any] = super().loss(x, rpn_results_list, batch_data_samples)  # type: ignore[misc]
        return losses


@MODELS.register_module()
class PartialLabelRoIHead(_TellsBoxHeads, CellRoIHead):
    """``CellRoIHead`` for images that lack classes; its box head is a partial-label one."""


@MODELS.register_module()
class PartialLabelCascadeRoIHead(_TellsBoxHeads, CascadeRoIHead):
    """``CascadeRoIHead`` for images that lack classes; its box heads are partial-label ones."""


@MODELS.register_module()
class PartialLabelHTCRoIHead(_TellsBoxHeads, HybridTaskCascadeRoIHead):
    """``HybridTaskCascadeRoIHead`` for images that lack classes, likewise."""
