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
    PrecisionRecall,
    binned_precision,
    precision_recall_curves,
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
from cellseg_mm.analysis.errors.image_matches import SCORE_THRESHOLD, ImageMatches, match_images
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.predictions import Prediction


@dataclass(frozen=True)
class ImageScore:
    """How well one image went.

    Attributes:
        image_id: COCO image id.
        file_name: As the annotation file has it.
        pq: PQ of the sure predictions as one label map, all cells as one class.
        truth_cells: Number of true cells.
        predicted_cells: Number of predicted cells in the label map.
        matched: Pairs with IoU > 0.5.
    """

    image_id: int
    file_name: str
    pq: float
    truth_cells: int
    predicted_cells: int
    matched: int


def worst_images(matches: Iterable[ImageMatches]) -> list[ImageScore]:
    """Images by rising PQ, at equal PQ the one with more unmatched cells first.

    Images without true and predicted cells have no PQ and are left out.
    """
    scores = [
        ImageScore(
            image_id=image.image_id,
            file_name=image.file_name,
            pq=image.statistics.binary_pq,
            truth_cells=int(image.statistics.truth_cells[0]),
            predicted_cells=int(image.statistics.predicted_cells[0]),
            matched=int(image.statistics.matched[0]),
        )
        for image in matches
    ]
    defined = [score for score in scores if not np.isnan(score.pq)]
    defined.sort(key=lambda s: (s.pq, 2 * s.matched - s.truth_cells - s.predicted_cells))
    return defined


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """Everything above for one set of predictions.

    Attributes:
        classes: C names, in the order of the category ids.
        score_threshold: Least score of a sure prediction.
        confusion: (C + 1, C + 1): see :func:`confusion_matrix`.
        curves: See :func:`precision_recall_curves`, at IoU 0.5.
        by_size: By area of the true cells: see :func:`binned_precision`.
        by_crowding: By number of neighbours: see :func:`binned_precision`.
        error_counts: See :func:`count_errors`.
        ap_gains: See :func:`ap_gains`.
        images: All images, worst first: see :func:`worst_images`.
        worst: See :func:`worst_cells`.
        matches: What all of this was worked out from: see :func:`match_images`.
        errors: All errors: see :func:`find_errors`.
    """

    classes: tuple[str, ...]
    score_threshold: float
    confusion: npt.NDArray[np.int64]
    curves: list[PrecisionRecall]
    by_size: list[BinnedPrecision]
    by_crowding: list[BinnedPrecision]
    error_counts: dict[ErrorKind, dict[str, int]]
    ap_gains: dict[ErrorKind, float]
    images: list[ImageScore]
    worst: dict[ErrorKind, list[CellError]]
    matches: list[ImageMatches]
    errors: list[CellError]


def analyse_errors(
    annotations: Annotations,
    predictions: Sequence[Prediction],
    score_threshold: float = SCORE_THRESHOLD,
) -> ErrorAnalysis:
    """Analyse one set of predictions.

    Args:
        annotations: The truth.
        predictions: What :func:`cellseg_mm.evaluation.predictions.load_predictions` gives.
        score_threshold: Least score of a sure prediction.

    Returns:
        Everything that the report draws.

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
        curves=precision_recall_curves(matches, classes),
        by_size=binned_precision(matches, len(classes), "areas", SIZE_EDGES),
        by_crowding=binned_precision(matches, len(classes), "crowding", CROWDING_EDGES),
        error_counts=count_errors(errors, classes),
        ap_gains=ap_gains(matches, len(classes)),
        images=worst_images(matches),
        worst=worst_cells(errors),
        matches=matches,
        errors=errors,
    )
