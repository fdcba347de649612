"""Precision, recall and AP by class, by size of the cells and by crowding.

AP is COCO's: class by class, predictions by falling score, each takes the free true cell of
greatest IoU ≥ the threshold, precision interpolated at 101 recalls. There is no cap on detections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.errors.image_matches import MATCH_IOU, ImageMatches
from cellseg_mm.evaluation.cell_metrics import mean_defined

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SIZE_EDGES = (0.0, 16.0**2, 24.0**2, 32.0**2, float("inf"))
"""Areas in pixels. COCO's "small" ends at 32², which nearly all cells are below."""

CROWDING_EDGES = (0.0, 2.0, 5.0, 9.0, float("inf"))
"""Numbers of neighbours."""

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class BinnedPrecision:
    """AP of the true cells in one bin of a property, for example of their area.

    Attributes:
        low, high: Its edges; the upper one is exclusive.
        truth_cells: Number of true cells in the bin.
        ap: Mean over the classes that have true cells in the bin; NaN if none has.
        recall: Share of the true cells found by any prediction of their class; NaN if there are
            none.
        ap_by_class: AP of each class; NaN without true cells.
    """

    low: float
    high: float
    truth_cells: int
    ap: float
    recall: float
    ap_by_class: tuple[float, ...]


@dataclass(eq=False)
class Ranking:
    """Predictions of one class over all images, as AP needs them.

    Attributes:
        scores: Of each prediction that counts.
        hits: Whether it found a cell.
        truth_cells: Number of true cells.
    """

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    truth_cells: int = 0

    def curve(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Precision and recall as the score threshold falls.

        Returns:
            scores: (K,) float64, falling.
            precision: (K,) float64, of the predictions up to here, not interpolated.
            recall: (K,) float64; NaN without true cells.
        """
        scores, hit = self._ordered()
        hits = np.cumsum(hit)
        recall = hits / self.truth_cells if self.truth_cells else np.full(len(hits), np.nan)
        return scores, hits / np.arange(1, len(hits) + 1), recall

    def ap(self) -> float:
        """COCO's AP; NaN without true cells."""
        if not self.truth_cells:
            return float("nan")
        hits = np.flatnonzero(self._ordered()[1])
        return interpolated_ap(np.arange(1, len(hits) + 1), hits + 1, self.truth_cells)

    def _ordered(self) -> tuple[FloatArray, BoolArray]:
        scores = np.array(self.scores, np.float64)
        order = np.argsort(-scores, kind="stable")
        return scores[order], np.array(self.hits, bool)[order]


def interpolated_ap(found: Int64Array, predictions: Int64Array, truth_cells: int) -> float:
    """COCO's AP: the mean over 101 recalls of the best precision at that recall or a higher one.

    Precision peaks at hits, so misses need no entry of their own.

    Args:
        found: (H,) number of cells found up to each prediction that hit, by falling score.
        predictions: (H,) number of predictions up to there, 1 or more.
        truth_cells: Number of true cells, 1 or more.
    """
    envelope = np.maximum.accumulate((found / predictions)[::-1])[::-1]
    reached = np.searchsorted(found / truth_cells, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[reached].mean())


def rank_predictions(
    matches: Iterable[ImageMatches],
    class_index: int,
    iou_threshold: float,
    in_bin: Callable[[ImageMatches], tuple[BoolArray, BoolArray]] | None = None,
) -> Ranking:
    """Match one class as COCO does.

    True cells outside a bin are ignored: they are taken only where no cell of the bin is, and a
    prediction that takes one does not count. Nor does a prediction without a match that lies
    outside the bin itself.

    Args:
        matches: The images.
        class_index: The class.
        iou_threshold: Least mask IoU of a match.
        in_bin: Says which true cells and which predictions of an image lie in the bin; None takes
            all.
    """
    ranking = Ranking()
    for image in matches:
        of_class = image.truth_classes == class_index
        counted: BoolArray = of_class
        in_range: BoolArray = np.ones(len(image.scores), bool)
        if in_bin is not None:
            chosen, in_range = in_bin(image)
            counted = of_class & chosen
        ranking.truth_cells += int(counted.sum())
        taken: set[int] = set()
        overlaps = image.overlaps(iou_threshold)
        for p in np.flatnonzero(image.classes == class_index).tolist():
            # COCO breaks ties of IoU in favour of the later cell.
            best = max(
                (
                    (bool(counted[truth]), iou, truth)
                    for iou, truth in overlaps[p]
                    if of_class[truth] and truth not in taken
                ),
                default=None,
            )
            if best is not None:
                taken.add(best[2])
                if not best[0]:
                    continue
            elif not in_range[p]:
                continue
            ranking.scores.append(float(image.scores[p]))
            ranking.hits.append(best is not None)
    return ranking


def binned_precision(
    matches: Sequence[ImageMatches],
    num_classes: int,
    what: Literal["areas", "crowding"],
    edges: Sequence[float],
    iou_threshold: float = MATCH_IOU,
) -> list[BinnedPrecision]:
    """AP of true cells by their mask area in pixels, or by their number of neighbours."""
    bins = []
    for low, high in pairwise(edges):

        def in_bin(
            image: ImageMatches, low: float = low, high: float = high
        ) -> tuple[BoolArray, BoolArray]:
            truth, predicted = getattr(image, f"truth_{what}"), getattr(image, what)
            return (truth >= low) & (truth < high), (predicted >= low) & (predicted < high)

        rankings = [rank_predictions(matches, c, iou_threshold, in_bin) for c in range(num_classes)]
        truth_cells = sum(ranking.truth_cells for ranking in rankings)
        by_class = tuple(ranking.ap() for ranking in rankings)
        hits = sum(sum(ranking.hits) for ranking in rankings)
        recall = hits / truth_cells if truth_cells else float("nan")
        ap = mean_defined(by_class)
        bins.append(BinnedPrecision(low, high, truth_cells, ap, recall, by_class))
    return bins
