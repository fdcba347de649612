"""All metrics of one set of predictions, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cellseg_mm.analysis.errors.bootstrap import (
    Interval,
    ResamplingUnits,
    bootstrap_weights,
    percentile_interval,
)
from cellseg_mm.analysis.errors.image_matches import ImageMatches
from cellseg_mm.analysis.errors.ranked_predictions import coco_scores, rank_class
from cellseg_mm.evaluation.cell_metrics import cell_metrics

COCO_CAP = 100
"""COCO's own cap on the predictions of a class in an image."""


class MetricIntervals(NamedTuple):
    """Metrics with 95 % bootstrap intervals.

    Attributes:
        coco: By the names of :func:`coco_scores`, and `mAP_dets100`.
        cell: By the names of :func:`cellseg_mm.evaluation.cell_metrics.cell_metrics`.
    """

    coco: Mapping[str, Interval]
    cell: Mapping[str, Interval]


def metric_intervals(
    matches: Sequence[ImageMatches],
    classes: Sequence[str],
    units: ResamplingUnits,
    samples: int = 1000,
    seed: int = 0,
) -> MetricIntervals:
    """Score the predictions, and score them again on bootstrap samples of the images.

    Nothing is matched again: each image contributes what its one matching left. Images are in the
    order of the units. Without samples there are no intervals.
    """
    rankings = [rank_class(matches, c) for c in range(len(classes))]
    capped = [ranking.capped(COCO_CAP) for ranking in rankings]
    statistics = [image.statistics for image in matches]

    def coco(weights: np.typing.NDArray[np.int64]) -> dict[str, float]:
        at_cap = coco_scores(capped, classes, weights)["mAP"]
        return coco_scores(rankings, classes, weights) | {f"mAP_dets{COCO_CAP}": at_cap}

    def cell(weights: np.typing.NDArray[np.int64]) -> dict[str, float]:
        return cell_metrics(
            [s for s, weight in zip(statistics, weights, strict=True) for _ in range(weight)],
            classes,
        )

    once = np.ones(len(matches), np.int64)
    drawn = bootstrap_weights(units, samples, seed)
    return MetricIntervals(
        coco=_with_intervals(coco(once), [coco(weights) for weights in drawn]),
        cell=_with_intervals(cell(once), [cell(weights) for weights in drawn]),
    )


def _with_intervals(
    values: Mapping[str, float], samples: Sequence[Mapping[str, float]]
) -> dict[str, Interval]:
    return {
        name: percentile_interval(value, [sample[name] for sample in samples])
        for name, value in values.items()
    }
