"""From which score on a prediction is a cell: chosen for each class on validation images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.label_map import paint_label_map
from cellseg_mm.evaluation.overlap_pairs import overlap_pairs
from cellseg_mm.evaluation.predictions import Prediction
from cellseg_mm.evaluation.scored_predictions import scored_predictions
from cellseg_mm.structures.mask_runs import MaskRuns

FloatArray = npt.NDArray[np.float64]

CANDIDATES = np.arange(5, 100) / 100
"""Least scores that are tried: 0.05, 0.06, …, 0.99."""


@dataclass(frozen=True)
class ClassMinScores:
    """Least scores of one class.

    Attributes:
        best: With the greatest F1; the lowest of equals.
        f1: At `best`: pairs of the class with IoU > 0.5.
        found: Predicted cells at `best`.
        equal_counts: With which as many cells are found as there are, as nearly as can be.
        cells: True cells.
    """

    best: float
    f1: float
    found: int
    equal_counts: float
    cells: int


def choose_min_scores(
    *parts: tuple[Annotations, Sequence[Prediction]],
) -> dict[str, ClassMinScores]:
    """Choose least scores by class.

    Predictions become one label map an image, where the better score keeps shared pixels. A worse
    prediction takes nothing from a better one, so the map of any least score is this one without
    what scores less, and one map tells all of them.

    Args:
        parts: The truth of validation images and what was predicted there, with scores down to the
            lowest candidate, or nearly so. Predictions that are neither right nor wrong
            (:mod:`cellseg_mm.evaluation.scored_predictions`) are left out. Several parts, as folds
            are, count as one set of images.

    Returns:
        By name of the class. A class without true cells is left out.

    Raises:
        UserError: The parts are of different classes.
    """
    first = parts[0][0]
    for other, _ in parts[1:]:
        if other.categories != first.categories:
            theirs, ours = (", ".join(of.categories.values()) for of in (other, first))
            raise UserError(
                f"{other.source} has the classes {theirs}, {first.source} has {ours}: choose "
                "for each by itself."
            )
    scored = [_scores_by_class(annotations, predictions) for annotations, predictions in parts]
    chosen = {}
    for category, name in first.categories.items():
        cells = sum(
            cell["category_id"] == category
            for annotations, _ in parts
            for of_image in annotations.cells.values()
            for cell in of_image
        )
        if not cells:
            continue
        scores = np.concatenate([every[category] for every, _ in scored])
        matched = np.concatenate([right[category] for _, right in scored])
        found = (scores[:, None] >= CANDIDATES).sum(axis=0)
        hits = (matched[:, None] >= CANDIDATES).sum(axis=0)
        f1 = 2 * hits / (found + cells)
        best = int(f1.argmax())
        chosen[name] = ClassMinScores(
            best=float(CANDIDATES[best]),
            f1=float(f1[best]),
            found=int(found[best]),
            equal_counts=float(CANDIDATES[np.abs(found - cells).argmin()]),
            cells=cells,
        )
    return chosen


def at_least(
    annotations: Annotations, predictions: Sequence[Prediction], min_scores: Mapping[str, float]
) -> list[Prediction]:
    """The predictions that reach the least score of their class.

    Raises:
        UserError: A class of the annotations has no least score.
    """
    if missing := set(annotations.categories.values()) - min_scores.keys():
        raise UserError(
            f"{annotations.source} has the class {min(missing)}, which has no least score."
        )
    least = {category: min_scores[name] for category, name in annotations.categories.items()}
    return [p for p in predictions if p["score"] >= least[p["category_id"]]]


def _scores_by_class(
    annotations: Annotations, predictions: Sequence[Prediction]
) -> tuple[dict[int, FloatArray], dict[int, FloatArray]]:
    """By category: scores of all cells of the label maps, and of those that match a true cell."""
    found: dict[int, list[float]] = {category: [] for category in annotations.categories}
    matched: dict[int, list[float]] = {category: [] for category in annotations.categories}
    by_image: dict[int, list[Prediction]] = {image: [] for image in annotations.images}
    for prediction in predictions:
        by_image[prediction["image_id"]].append(prediction)
    for image_id, of_image in by_image.items():
        height, width = (annotations.images[image_id][side] for side in ("height", "width"))
        cells = annotations.cells[image_id]
        scored = scored_predictions(
            annotations,
            image_id,
            [p["category_id"] for p in of_image],
            (p["segmentation"] for p in of_image),
        )
        of_image = [p for p, counts in zip(of_image, scored, strict=True) if counts]
        true = MaskRuns.from_rles((c["segmentation"] for c in cells), height, width)
        predicted = MaskRuns.from_rles((p["segmentation"] for p in of_image), height, width)
        pairs = overlap_pairs(
            paint_label_map(true), paint_label_map(predicted, [p["score"] for p in of_image])
        )
        shown = [of_image[i - 1] for i in pairs.prediction_ids.tolist()]
        for prediction in shown:
            found[prediction["category_id"]].append(prediction["score"])
        match = np.flatnonzero(2 * pairs.intersection > pairs.union)
        for truth, index in zip(
            pairs.truth_index[match].tolist(), pairs.prediction_index[match].tolist(), strict=True
        ):
            category = cells[int(pairs.truth_ids[truth]) - 1]["category_id"]
            if category == shown[index]["category_id"]:
                matched[category].append(shown[index]["score"])
    return (
        {category: np.array(values) for category, values in found.items()},
        {category: np.array(values) for category, values in matched.items()},
    )
