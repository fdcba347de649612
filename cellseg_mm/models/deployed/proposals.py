"""The region proposals of an RPN head, without looking at boxes that cannot be among them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from torch import Tensor
from torchvision.ops import nms

_STRIP = 32
"""Rows of a feature map that the head sees together."""

_LEAST = 300
"""Proposals that even the smallest image gets."""

_CROWDED_BOXES, _CROWDED_PROPOSALS, _CROWDED_IOU = 4, 2, 0.5
"""For crowded images: so many times the boxes of a level and the proposals; the IoU of NMS.

The best boxes lie several on a cell, so more of them are not enough without a stricter NMS.
"""


class ProposalFinder:
    """Finds the boxes that ``RPNHead.predict`` gives.

    The stock head takes up to ``nms_pre`` boxes of every level through NMS and keeps the best
    ``max_per_img`` of them all. A box is suppressed by better ones only, so NMS on the best boxes
    gives the first part of the result: it is repeated on more of them until there are enough.

    Args:
        head: The head, in evaluation mode.
        full_area: Pixels of an image for which ``nms_pre`` and ``max_per_img`` are meant: a smaller
            one gives fewer proposals in proportion, down to ``_LEAST``. None = as the stock head.
    """

    def __init__(self, head: RPNHead, full_area: int | None = None) -> None:
        self._head = head
        self._full_area = full_area
        self._anchors: list[Tensor] = list(head.prior_generator.base_anchors)
        self._strides: list[tuple[int, int]] = list(head.prior_generator.strides)

    def __call__(
        self, maps: Sequence[Tensor], sizes: Sequence[tuple[int, int]], crowded: bool = False
    ) -> list[Tensor]:
        """Find the proposals of a batch.

        Args:
            maps: (B, C, H, W) feature map of each level.
            sizes: Height and width of each image, pixels.
            crowded: Whether there are so many cells that they need more proposals than is usual.

        Returns:
            For each image, (N, 4) xyxy, the best first.
        """
        logits, deltas = [], []
        for level in maps:
            scores, moves = self._objectness_and_deltas(level)
            logits.append(scores.permute(0, 2, 3, 1).flatten(1))
            deltas.append(moves.permute(0, 2, 3, 1).reshape(len(moves), -1, 4))
        widths = [level.shape[3] for level in maps]
        return [
            self._select([s[i] for s in logits], [d[i] for d in deltas], widths, size, crowded)
            for i, size in enumerate(sizes)
        ]

    def _objectness_and_deltas(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """What the head makes of a level, strip by strip: what lies between stays in the cache."""
        height = level.shape[2]
        if level.device.type != "cpu" or height <= _STRIP:
            return self._head.forward_single(level)
        parts = []
        for top in range(0, height, _STRIP):
            before, bottom = max(top - 1, 0), min(top + _STRIP, height)
            outputs = self._head.forward_single(level[:, :, before : bottom + 1])
            parts.append([part[:, :, top - before :][:, :, : bottom - top] for part in outputs])
        scores, moves = (torch.cat(part, dim=2) for part in zip(*parts, strict=True))
        return scores, moves

    def _select(
        self,
        logits: list[Tensor],
        deltas: list[Tensor],
        widths: list[int],
        size: tuple[int, int],
        crowded: bool,
    ) -> Tensor:
        """The proposals of one image."""
        settings = self._head.test_cfg
        at_most, wanted = (self._cap(settings[name], size) for name in ("nms_pre", "max_per_img"))
        iou = settings.nms.iou_threshold
        if crowded:
            at_most, wanted = _CROWDED_BOXES * at_most, _CROWDED_PROPOSALS * wanted
            iou = min(iou, _CROWDED_IOU)
        scores, boxes, levels = [], [], []
        for number, (logit, delta) in enumerate(zip(logits, deltas, strict=True)):
            score, index = logit.topk(min(at_most, len(logit)))
            anchors = self._anchors_at(number, index, widths[number])
            box = self._head.bbox_coder.decode(anchors, delta[index], max_shape=size)
            wide = ((box[:, 2:] - box[:, :2]) > max(settings.min_bbox_size, 0)).all(dim=1)
            scores.append(score[wide])
            boxes.append(box[wide])
            levels.append(torch.full_like(score[wide], number))
        score, order = torch.cat(scores).sort(descending=True)
        box = torch.cat(boxes)[order]
        # Levels do not suppress each other: they are moved apart.
        offset = torch.cat(levels)[order] * (max(size) + 1)
        apart = box + offset[:, None]
        count = 2 * wanted
        while True:
            kept = nms(apart[:count], score[:count], iou)
            if len(kept) >= wanted or count >= len(box):
                return box[kept[:wanted]]
            count *= 2

    def _cap(self, number: int, size: tuple[int, int]) -> int:
        if self._full_area is None:
            return number
        share = min(size[0] * size[1] / self._full_area, 1)
        return min(number, max(round(share * number), _LEAST))

    def _anchors_at(self, level: int, index: Tensor, width: int) -> Tensor:
        anchors = self._anchors[level]
        place = index // len(anchors)
        x, y = self._strides[level]
        corner = torch.stack([place % width * x, place // width * y], dim=1)
        return anchors[index % len(anchors)] + corner.repeat(1, 2)
