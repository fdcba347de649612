"""COCO AP of any mixture of images, from one matching: what a bootstrap of AP needs.

Which predictions of an image find a cell does not depend on the other images. Matching is done
once; a sample of images only weighs the hits and the cells again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.errors.average_precision import interpolated_ap, rank_predictions
from cellseg_mm.analysis.errors.image_matches import ImageMatches
from cellseg_mm.evaluation.cell_metrics import mean_defined

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""COCO's: 0.50, 0.55, …, 0.95."""

CAP = 1000
"""Most predictions of a class in an image, by falling score."""


@dataclass(frozen=True, eq=False)
class RankedPredictions:
    """The K predictions of one class in I images, by falling score.

    Attributes:
        image_index: (K,) int64, the image of each prediction.
        place: (K,) int64, its rank among the predictions of its class and image, from 0.
        hits: For each IoU threshold, (H,) int64: positions of the predictions that found a cell.
        truth_cells: (I,) int64, true cells of the class in each image.
    """

    image_index: IntArray
    place: IntArray
    hits: tuple[IntArray, ...]
    truth_cells: IntArray

    def capped(self, cap: int) -> RankedPredictions:
        """Keep the best predictions of each image only."""
        kept = self.place < cap
        position = np.cumsum(kept) - 1
        return RankedPredictions(
            self.image_index[kept],
            self.place[kept],
            tuple(position[hits[kept[hits]]] for hits in self.hits),
            self.truth_cells,
        )

    def average_precision(self, weights: IntArray) -> tuple[FloatArray, FloatArray]:
        """AP and greatest recall of a sample of the images.

        Args:
            weights: (I,) int64, how often the sample holds each image.

        Returns:
            ap: (T,) float64, COCO's AP at each IoU threshold; NaN without true cells.
            recall: (T,) float64, share of the true cells found; NaN without true cells.
        """
        truth_cells = int(weights @ self.truth_cells)
        if not truth_cells:
            nothing = np.full(len(self.hits), np.nan)
            return nothing, nothing
        weight = weights[self.image_index]
        predictions = np.cumsum(weight)
        ap, recall = np.zeros(len(self.hits)), np.zeros(len(self.hits))
        for t, hits in enumerate(self.hits):
            found = np.cumsum(weight[hits])
            if not found.size or not found[-1]:
                continue
            # Before the first prediction of the sample both counts are 0.
            ap[t] = interpolated_ap(found, np.maximum(predictions[hits], 1), truth_cells)
            recall[t] = found[-1] / truth_cells
        return ap, recall


def rank_class(matches: Sequence[ImageMatches], class_index: int) -> RankedPredictions:
    """Match a class at every IoU threshold, image by image, as COCO does.

    Only the best `CAP` predictions of the class in an image count.
    """
    scores: list[FloatArray] = []
    places: list[IntArray] = []
    found: list[npt.NDArray[np.bool_]] = []
    for image in matches:
        rankings = [rank_predictions([image], class_index, iou) for iou in IOU_THRESHOLDS]
        of_image = np.array(rankings[0].scores[:CAP], np.float64)
        scores.append(of_image)
        places.append(np.arange(len(of_image)))
        found.append(np.array([ranking.hits[:CAP] for ranking in rankings], bool))
    every_score = np.concatenate([*scores, np.zeros(0)])
    order = np.argsort(-every_score, kind="stable")  # COCO's order: ties by image
    image_index = np.repeat(np.arange(len(matches)), [len(s) for s in scores])
    hits = np.concatenate([*found, np.zeros((len(IOU_THRESHOLDS), 0), bool)], axis=1)[:, order]
    return RankedPredictions(
        image_index[order],
        np.concatenate([*places, np.zeros(0, np.int64)])[order],
        tuple(np.flatnonzero(row) for row in hits),
        np.array([np.count_nonzero(m.truth_classes == class_index) for m in matches], np.int64),
    )


def coco_scores(
    rankings: Iterable[RankedPredictions], classes: Sequence[str], weights: IntArray
) -> dict[str, float]:
    """COCO's mask AP of a sample of the images.

    Args:
        rankings: One a class.
        classes: Their names.
        weights: (I,) int64, how often the sample holds each image; ones for the images themselves.

    Returns:
        `mAP`, `AP50`, `AP75` and `AR` (mean greatest recall), means over the classes with true
        cells, and `AP_<class>`, `AP50_<class>`. NaN without true cells.
    """
    pairs = [ranking.average_precision(weights) for ranking in rankings]
    aps = [ap for ap, _ in pairs]
    scores = {
        "mAP": mean_defined([ap.mean() for ap in aps]),
        "AP50": mean_defined([ap[0] for ap in aps]),
        "AP75": mean_defined([ap[5] for ap in aps]),
        "AR": mean_defined([recall.mean() for _, recall in pairs]),
    }
    for name, ap in zip(classes, aps, strict=True):
        scores[f"AP_{name}"] = float(ap.mean())
        scores[f"AP50_{name}"] = float(ap[0])
    return scores
