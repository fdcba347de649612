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
    of a pixel is the mean over these detections (of binary masks: the share of them that has it),
    and a pixel is in where it exceeds the threshold; where it equals the threshold, the best of
    the detections decides. The box is their mean box, and the score is the sum of their scores over
    S, so what few sources see sinks. Detections whose mask has no pixel are left out.

    S times the same detections give these detections, box for box and pixel for pixel.

    Args:
        sources: For each source, ``bboxes`` (N, 4) float xyxy in pixels of the image, ``scores``
            and ``labels`` (N,), and ``masks``: ``ProbabilityMasks`` or ``RLEMasks``, one type in
            all sources.
        merge_iou: Least IoU of two masks that show one cell, in (0, 1].
        mask_threshold: Probability that a pixel of a mask must reach, in (0, 1].
        max_per_image: The best so many are kept; None = all.

    Returns:
        The fused detections, best first, on the CPU, with ``RLEMasks``.

    Raises:
        ValueError: There are no sources, or their images differ in size.
        TypeError: The masks are of another type, or of both.
    """
    if not sources:
        raise UserError("Detections of at least one source are needed to fuse.")
    scores, order = (
        torch.cat([s.scores for s in sources]).double().cpu().sort(descending=True, stable=True)
    )  # from here on, all that is one for each detection goes from the best on
    masks = _concatenate(sources)[order]
    bboxes = torch.cat([source.bboxes for source in sources]).cpu()[order]
    labels = torch.cat([source.labels for source in sources]).cpu()[order]
    origin = torch.repeat_interleave(torch.tensor([len(s.scores) for s in sources]))[order]
    runs = (masks.to_rle(mask_threshold) if isinstance(masks, ProbabilityMasks) else masks).runs
    clusters = _cluster(runs, labels.numpy(), origin.numpy(), merge_iou)
    groups, sums = _best_clusters(clusters, scores.numpy(), max_per_image)
    index = torch.as_tensor(groups[groups >= 0])
    # In double precision, the mean of n equal numbers is exactly the number.
    box_sums = torch.zeros((len(sums), 4), dtype=torch.float64)
    box_sums.index_add_(0, index, bboxes[groups >= 0].double())
    fused_labels = torch.zeros(len(sums), dtype=torch.int64)
    fused_labels[index] = labels[groups >= 0]
    return InstanceData(
        bboxes=(box_sums / torch.bincount(index)[:, None]).to(bboxes.dtype),
        scores=torch.as_tensor(sums / len(sources)).to(sources[0].scores.dtype),
        labels=fused_labels,
        masks=(
            masks.average(groups, mask_threshold)
            if isinstance(masks, ProbabilityMasks)
            else RLEMasks.from_runs(runs.vote(groups, mask_threshold))
        ),
    )


def _cluster(
    runs: MaskRuns, labels: Int64Array, origin: Int64Array, merge_iou: float
) -> Int64Array:
    """Cluster of each detection, numbered from the best first detection on; -1 without a pixel.

    All is given from the best detection on.
    """
    shared = runs.shared_pixels(runs).tocoo()
    iou = shared.data / (runs.areas[shared.row] + runs.areas[shared.col] - shared.data)
    same = (
        (labels[shared.row] == labels[shared.col])
        & (origin[shared.row] != origin[shared.col])
        & (iou >= merge_iou)
    )
    seeds, others, iou = shared.row[same], shared.col[same], iou[same]
    # For each seed, the others by falling IoU, at equal IoU the better one first.
    others = others[np.lexsort((others, -iou, seeds))].tolist()
    bounds = np.searchsorted(np.sort(seeds), np.arange(len(runs) + 1)).tolist()
    clusters = np.full(len(runs), -1)
    count = 0
    for seed in np.flatnonzero(runs.areas).tolist():
        if clusters[seed] >= 0:
            continue
        clusters[seed] = count
        taken = set()
        for other in others[bounds[seed] : bounds[seed + 1]]:
            if clusters[other] < 0 and origin[other] not in taken:
                taken.add(origin[other])
                clusters[other] = count
        count += 1
    return clusters


def _best_clusters(
    clusters: Int64Array, scores: npt.NDArray[np.float64], number: int | None
) -> tuple[Int64Array, npt.NDArray[np.float64]]:
    """The best clusters, best first, as groups 0, 1, …: group of each detection, sums of scores.

    The group of a detection that is left out is -1.
    """
    filled = clusters >= 0
    sums = np.bincount(clusters[filled], weights=scores[filled]).astype(np.float64)
    best = np.argsort(-sums, kind="stable")[:number]
    place = np.full(len(sums) + 1, -1)  # the last entry is that of cluster -1
    place[best] = np.arange(len(best))
    return place[clusters], sums[best]


def _concatenate(sources: Sequence[InstanceData]) -> ProbabilityMasks | RLEMasks:
    masks = [source.masks for source in sources]
    if all(isinstance(m, ProbabilityMasks) for m in masks):
        return ProbabilityMasks.cat(masks)
    if all(isinstance(m, RLEMasks) for m in masks):
        return RLEMasks.cat(masks)
    raise TypeError("Masks to fuse must all be ProbabilityMasks, or all be RLEMasks.")
