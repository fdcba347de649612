"""What a model gets wrong, ready to be drawn: all analyses of one set of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.errors.average_precision import (
    CROWDING_EDGES,
    SIZE_EDGES,
    BinnedPrecision,
    Ranking,
    binned_precision,
    rank_predictions,
)
from cellseg_mm.analysis.errors.confusion_matrix import confusion_matrix
from cellseg_mm.analysis.errors.error_kinds import (
    CellError,
    ErrorKind,
    ap_gains,
    count_errors,
    find_errors,
    worst_cells,
)
from cellseg_mm.analysis.errors.image_matches import (
    MATCH_IOU,
    SCORE_THRESHOLD,
    ImageMatches,
    match_images,
)
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.predictions import Prediction


def worst_images(matches: Iterable[ImageMatches]) -> list[ImageMatches]:
    """Images by rising PQ (all cells as one class), at equal PQ with more unmatched cells first.

    Images without true and predicted cells have no PQ and are left out.
    """

    def rank(image: ImageMatches) -> tuple[float, int]:
        sums = image.statistics
        unmatched = sums.truth_cells[0] + sums.predicted_cells[0] - 2 * sums.matched[0]
        return sums.binary_pq, -int(unmatched)

    return sorted((m for m in matches if not np.isnan(m.statistics.binary_pq)), key=rank)


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """All analyses of one set of predictions.

    Attributes:
        classes: C names, in the order of the category ids.
        score_threshold: Least score of a sure prediction.
        rankings: Of each class, at IoU 0.5.
        by_size, by_crowding: By area of the true cells, and by number of their neighbours.
        confusion, error_counts, ap_gains, images, worst, matches, errors: What the functions
            ``confusion_matrix``, ``count_errors``, ``ap_gains``, ``worst_images``,
            ``worst_cells``, ``match_images`` and ``find_errors`` give.
    """

    classes: tuple[str, ...]
    score_threshold: float
    confusion: npt.NDArray[np.int64]
    rankings: list[Ranking]
    by_size: list[BinnedPrecision]
    by_crowding: list[BinnedPrecision]
    error_counts: dict[ErrorKind, dict[str, int]]
    ap_gains: dict[ErrorKind, float]
    images: list[ImageMatches]
    worst: dict[ErrorKind, list[CellError]]
    matches: list[ImageMatches]
    errors: list[CellError]


def analyse_errors(
    annotations: Annotations,
    predictions: Sequence[Prediction],
    score_threshold: float = SCORE_THRESHOLD,
) -> ErrorAnalysis:
    """Analyse one set of predictions, as :func:`match_images` takes them.

    Raises:
        ValueError: A prediction is of an unknown image or category, or a mask is malformed.
    """
    classes = tuple(annotations.categories.values())
    matches = match_images(annotations, predictions, score_threshold)
    errors = find_errors(matches, classes, score_threshold)
    return ErrorAnalysis(
        classes=classes,
        score_threshold=score_threshold,
        confusion=confusion_matrix(matches, len(classes), score_threshold),
        rankings=[rank_predictions(matches, c, MATCH_IOU) for c in range(len(classes))],
        by_size=binned_precision(matches, len(classes), "areas", SIZE_EDGES),
        by_crowding=binned_precision(matches, len(classes), "crowding", CROWDING_EDGES),
        error_counts=count_errors(errors, classes),
        ap_gains=ap_gains(matches, len(classes)),
        images=worst_images(matches),
        worst=worst_cells(errors),
        matches=matches,
        errors=errors,
    )
