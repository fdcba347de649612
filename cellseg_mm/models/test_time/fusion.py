"""Detections of one image from several sources, such as views or models, become one set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from mmengine.structures import InstanceData

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.probability_masks import ProbabilityMasks
from cellseg_mm.structures.rle_masks import RLEMasks

Int64Array = npt.NDArray[np.int64]


def fuse_detections(
    sources: Sequence[InstanceData],
    merge_iou: float = 0.5,
    mask_threshold: float = 0.5,
    max_per_image: int | None = 1000,
) -> InstanceData:
    """Fuse what S sources found in one image.

    Detections of one class that overlap become one, at most one of each source: the best one takes,
    from every other source, the detection whose mask overlaps its own most. The fused probability
    of a pixel is the mean over these detections (of binary masks: a pixel is in where at least the
    threshold's share of them has it), the box is their mean box, and the score is the sum of their
    scores over S, so what few sources see sinks. Detections whose mask has no pixel are left out.

    S times the same detections give these detections, box for box and pixel for pixel.

    Args:
        sources: For each source, ``bboxes`` (N, 4) float xyxy in pixels of the image, ``scores``
            and ``labels`` (N,), and ``masks``: ``ProbabilityMasks`` or ``RLEMasks``, one type in
            all sources.
        merge_iou: Least IoU of two masks that show one cell, in (0, 1].
        mask_threshold: A pixel belongs to a mask when its probability is at least this, in (0, 1].
        max_per_image: The best so many are kept; None = all.

    Returns:
        The fused detections, best first, on the CPU, with ``RLEMasks``.

    Raises:
        ValueError: There are no sources, or their images differ in size.
        TypeError: The masks are of another type, or of both.
    """
    if not sources:
        raise UserError("Detections of at least one source are needed to fuse.")
    masks = _concatenate(sources)
    bboxes = torch.cat([source.bboxes for source in sources]).cpu()
    scores = torch.cat([source.scores for source in sources]).double().cpu().numpy()
    labels = torch.cat([source.labels for source in sources]).cpu().numpy()
    origin = np.repeat(np.arange(len(sources)), [len(source.scores) for source in sources])

    binary = masks.to_rle(mask_threshold) if isinstance(masks, ProbabilityMasks) else masks
    runs = MaskRuns.from_rle(binary)
    clusters = _cluster(runs, scores, labels, origin, merge_iou)

    # The best clusters, best first, become the detections 0, 1, …; -1 is what is left out.
    filled = clusters >= 0
    fused_scores = np.bincount(clusters[filled], weights=scores[filled]) / len(sources)
    best = np.argsort(-fused_scores, kind="stable")[:max_per_image]
    place = np.full(len(fused_scores) + 1, -1)  # the last entry is that of cluster -1
    place[best] = np.arange(len(best))
    groups = place[clusters]
    chosen = np.flatnonzero(groups >= 0)

    index = torch.as_tensor(groups[chosen])
    members = torch.bincount(index, minlength=len(best))
    # In double precision, the mean of n equal numbers is exactly the number.
    box_sums = torch.zeros((len(best), 4), dtype=torch.float64)
    box_sums.index_add_(0, index, bboxes[chosen].double())
    fused_labels = torch.zeros(len(best), dtype=torch.int64)
    fused_labels[index] = torch.as_tensor(labels[chosen])
    return InstanceData(
        bboxes=(box_sums / members[:, None]).to(bboxes.dtype),
        scores=torch.as_tensor(fused_scores[best]).to(sources[0].scores.dtype),
        labels=fused_labels,
        masks=(
            masks[torch.as_tensor(chosen)].average(groups[chosen], mask_threshold)
            if isinstance(masks, ProbabilityMasks)
            else runs.vote(groups, mask_threshold)
        ),
    )


def _cluster(
    runs: MaskRuns,
    scores: npt.NDArray[np.float64],
    labels: Int64Array,
    origin: Int64Array,
    merge_iou: float,
) -> Int64Array:
    """Cluster of each detection, numbered from the best first detection on; -1 without a pixel."""
    boxes, areas = runs.boxes, runs.areas
    order = np.argsort(-scores, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    clusters = np.full(len(order), -1)
    free = areas > 0
    # Only detections whose left edges lie near can overlap.
    by_left = np.argsort(boxes[:, 0], kind="stable")
    left = boxes[by_left, 0]
    widest = (boxes[:, 2] - boxes[:, 0]).max(initial=0)
    count = 0
    for seed in order:
        if not free[seed]:
            continue
        box, area = boxes[seed], areas[seed]
        near = by_left[slice(*np.searchsorted(left, (box[0] - widest, box[2])))]
        near = near[free[near] & (origin[near] != origin[seed]) & (labels[near] == labels[seed])]
        low = np.maximum(boxes[near, :2], box[:2])
        sides = np.minimum(boxes[near, 2:], box[2:]) - low
        # The IoU of two masks is at most the overlap of their boxes over the larger mask.
        shared = np.prod(sides.clip(min=0), axis=1)
        near = near[shared >= merge_iou * np.maximum(areas[near], area)]
        clusters[seed], free[seed] = count, False
        if near.size:
            shared = runs.intersections(seed, near)
            iou = shared / (areas[near] + area - shared)
            taken = set()
            for i in np.lexsort((rank[near], -iou)):
                if iou[i] >= merge_iou and origin[near[i]] not in taken:
                    taken.add(origin[near[i]])
                    clusters[near[i]], free[near[i]] = count, False
        count += 1
    return clusters


def _concatenate(sources: Sequence[InstanceData]) -> ProbabilityMasks | RLEMasks:
    masks = [source.masks for source in sources]
    if all(isinstance(m, ProbabilityMasks) for m in masks):
        return ProbabilityMasks.cat(masks)
    if all(isinstance(m, RLEMasks) for m in masks):
        return RLEMasks.cat(masks)
    raise TypeError("Masks to fuse must all be ProbabilityMasks, or all be RLEMasks.")
