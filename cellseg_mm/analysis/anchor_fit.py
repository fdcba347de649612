"""Anchors that fit the boxes of a data set, and how well given anchors cover them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_ITERATIONS = 100


@dataclass(frozen=True)
class AnchorLevel:
    """The anchors of one level of a feature pyramid.

    Attributes:
        base: (A, 4) xyxy of the anchors of the grid's first cell, pixels.
        stride: Distance of the grid's cells, (x, y), pixels.
    """

    base: FloatArray
    stride: tuple[int, int]


def best_anchor_ious(
    boxes: npt.ArrayLike, sizes: npt.ArrayLike, levels: Sequence[AnchorLevel]
) -> FloatArray:
    """IoU of each box with the anchor of the whole grid that overlaps it best.

    The overlap of a box with an anchor of given size falls with the distance of their centres along
    each axis, so only the nearest place of the grid has to be looked at: N × A work for each level,
    not N × A × grid.

    Args:
        boxes: (N, 4) xyxy, pixels of the network's input.
        sizes: (N, 2) width and height of each box's image as the network sees it, padded, pixels.
        levels: The anchors.

    Returns:
        (N,) IoU, 0 to 1.
    """
    xyxy = np.asarray(boxes, np.float64).reshape(-1, 4)
    size = np.asarray(sizes, np.float64).reshape(-1, 2)
    low, high = xyxy[:, None, :2], xyxy[:, None, 2:]  # (N, 1, 2)
    box_area = (high - low).prod(axis=2)
    best: FloatArray = np.zeros(len(xyxy))
    for level in levels:
        stride = np.array(level.stride, np.float64)
        base = level.base[None]  # (1, A, 4)
        last = np.ceil(size / stride)[:, None] - 1
        centre = (base[..., :2] + base[..., 2:]) / 2
        place = np.clip(np.rint(((low + high) / 2 - centre) / stride), 0, last)  # (N, A, 2)
        anchor_low = base[..., :2] + place * stride
        anchor_high = base[..., 2:] + place * stride
        sides = np.minimum(high, anchor_high) - np.maximum(low, anchor_low)
        intersection = sides.clip(0).prod(axis=2)
        union = box_area + (base[..., 2:] - base[..., :2]).prod(axis=2) - intersection
        best = np.maximum(best, (intersection / union).max(axis=1))
    return best


def kmeans_anchors(widths_heights: npt.ArrayLike, count: int) -> tuple[FloatArray, float]:
    """Cluster box sizes with the distance 1 − IoU of boxes that share a centre.

    As in Redmon and Farhadi, "YOLO9000" (2017), section 2, with the median of a cluster as its
    centre and k-means++ seeding.

    Args:
        widths_heights: (N, 2) positive, pixels.
        count: Number of clusters; fewer come back if there are fewer sizes.

    Returns:
        anchors: (k, 2) width and height, pixels, by area.
        mean_iou: Mean IoU of a box with its anchor.
    """
    sizes = np.asarray(widths_heights, np.float64).reshape(-1, 2)
    if not len(sizes):
        return np.zeros((0, 2)), float("nan")
    rng = np.random.default_rng(0)
    centres = sizes[[rng.integers(len(sizes))]]  # a copy, as it is changed below
    while len(centres) < min(count, len(sizes)):
        distance = 1 - _centred_ious(sizes, centres).max(axis=1)
        weight = distance.clip(0) ** 2
        if weight.sum() < 1e-12:
            break  # fewer sizes than clusters
        centres = np.vstack((centres, sizes[rng.choice(len(sizes), p=weight / weight.sum())]))
    nearest = np.full(len(sizes), -1)
    for _ in range(_ITERATIONS):
        assigned = _centred_ious(sizes, centres).argmax(axis=1)
        if (assigned == nearest).all():
            break
        nearest = assigned
        for cluster in np.unique(nearest):
            centres[cluster] = np.median(sizes[nearest == cluster], axis=0)
    ious = _centred_ious(sizes, centres).max(axis=1)
    return centres[np.argsort(centres.prod(axis=1), kind="stable")], float(ious.mean())


def _centred_ious(sizes: FloatArray, centres: FloatArray) -> FloatArray:
    """(N, k) IoU of boxes and anchors that share a centre."""
    intersection = np.minimum(sizes[:, None], centres[None]).prod(axis=2)
    areas = sizes.prod(axis=1)[:, None] + centres.prod(axis=1)[None]
    return np.asarray(intersection / (areas - intersection))
