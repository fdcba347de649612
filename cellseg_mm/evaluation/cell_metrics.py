"""The metrics of the cell segmentation field, on label maps.

Two steps: :func:`image_statistics` shrinks an image to a few sums, :func:`cell_metrics` turns the
sums of a data set into numbers. Sums are small enough to gather from many processes and to
resample for bootstrap intervals.

Matching. A true and a predicted cell match if their masks have IoU > 0.5 (strictly). On label maps
a cell then matches at most one other, so no assignment has to be chosen. TP, FP and FN are matched
pairs, unmatched predictions and unmatched true cells.

==================  ===============================================================================
bDQ                 TP / (TP + FP/2 + FN/2), all cells as one class, per image, mean over images
bSQ                 mean IoU of the matched pairs (0 where nothing matches), likewise
bPQ                 SQ × DQ = Σ IoU / (TP + FP/2 + FN/2), likewise (Kirillov et al. 2019)
mPQ, mSQ, mDQ       per image and class, a match needs the same class; mean over the classes that
                    the image's truth *or* prediction holds, then over images
mPQ+, mSQ+, mDQ+    TP, FP, FN and Σ IoU of a class pooled over the data set; mean over the classes
                    that its truth or prediction holds (Graham et al. 2021)
PQ_<class>          the class' term of mPQ+; likewise SQ_<class>, DQ_<class>
AJI                 Σ |G ∩ P| / (Σ |G ∪ P| + Σ |unused P|) per image, mean over images; each true
                    cell G takes the P of greatest IoU, which others may take as well; a G that
                    overlaps nothing adds its area below (Kumar et al. 2017)
AJI+                the same, but G and P are paired one to one, so that the sum of IoUs is greatest
                    (Graham et al. 2019)
Dice                2 |A ∩ B| / (|A| + |B|) of all foreground pixels, per image, mean over images
F1, precision,      2TP / (2TP + FP + FN), TP / (TP + FP), TP / (TP + FN), all cells as one class,
recall              pooled over the data set
F1_<class>          the same for one class, pooled; a match needs the same class
threat_score_50,    TP / (TP + FP + FN) at IoU > 0.5 and > 0.75, all cells as one class, pooled
threat_score_75     over the data set. StarDist (Schmidt et al. 2018) and Cellpose call it "AP"; it
                    is not the average precision of COCO, which ranks predictions by score
R2_<class>, R2      1 - Σ (n - m)² / Σ (n - mean n)² over images, n true and m predicted cells of
                    the class; mean over classes. Negative where a constant count would do better
truth_<class>,      number of cells in the data set
predicted_<class>
==================  ===============================================================================

Empty cases. A ratio without true and without predicted cells is undefined (NaN) and left out of
every mean; if nothing is left, the mean is NaN. True cells without predictions, or predictions
without true cells, give 0: false positives of a class that the truth lacks count. Scorers that
leave them out, take the wrong cell out of a list or swap classes gave wrong published numbers
(Foucart, Debeir and Decaestecker, *Comments on "MoNuSAC2020"*, IEEE TMI 2022, and *Panoptic quality
should be avoided as a metric for assessing cell nuclei segmentation and classification in digital
pathology*, Scientific Reports 2023). R² is NaN for a class whose number is the same in all images.
Precision is NaN without predictions, recall without true cells.

Overlaps. Truth that comes as planes is flattened to one label map first: see
:mod:`cellseg_mm.evaluation.label_map`. A cell of which no pixel is left is not counted.

Sources: Kirillov et al., *Panoptic Segmentation*, CVPR 2019. Kumar et al., *A Dataset and a
Technique for Generalized Nuclear Segmentation for Computational Pathology*, IEEE TMI 2017. Graham
et al., *HoVer-Net*, Medical Image Analysis 2019, and *Lizard*, ICCV Workshops 2021. Schmidt et al.,
*Cell Detection with Star-convex Polygons*, MICCAI 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.label_map import flatten_planes
from cellseg_mm.evaluation.overlap_pairs import OverlapPairs, overlap_pairs

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """What the metrics need of one image.

    Row 0 of the arrays is all cells as one class, row 1 + c is class c.

    Attributes:
        truth_cells, predicted_cells: (1 + C,) int64, numbers of cells.
        matched, matched_75: (1 + C,) int64, pairs with IoU > 0.5 and > 0.75 (of the same class in
            rows 1 …).
        iou_sum: (1 + C,) float64, sum of the IoUs of the matched pairs.
        aji, aji_plus, dice: (2,) int64, numerator and denominator of each, pixels.
    """

    truth_cells: Int64Array
    predicted_cells: Int64Array
    matched: Int64Array
    matched_75: Int64Array
    iou_sum: FloatArray
    aji: Int64Array
    aji_plus: Int64Array
    dice: Int64Array

    @property
    def binary_pq(self) -> float:
        """PQ of the image, all cells as one class; NaN without any cell."""
        quality = _panoptic_quality(self.matched, self.iou_sum, self._cells)[0]
        return float(quality[0])

    @property
    def _cells(self) -> Int64Array:
        return self.truth_cells + self.predicted_cells


def image_statistics(
    truth: npt.NDArray[np.integer],
    prediction: npt.NDArray[np.integer],
    truth_classes: npt.ArrayLike,
    prediction_classes: npt.ArrayLike,
    num_classes: int,
) -> ImageStatistics:
    """Sum up one image.

    Args:
        truth, prediction: (H, W) or (P, H, W) ids, 0 = background.
        truth_classes: (largest id + 1,) integers, the class 0 … C - 1 of each id; entry 0 and those
            of ids that do not occur are not read.
        prediction_classes: The same for the prediction.
        num_classes: C.

    Raises:
        ValueError: The maps differ in shape, or an id has no class in 0 … C - 1.
    """
    pairs = overlap_pairs(flatten_planes(truth), flatten_planes(prediction))
    truth_class = _classes_of(pairs.truth_ids, truth_classes, num_classes, "truth")
    predicted_class = _classes_of(
        pairs.prediction_ids, prediction_classes, num_classes, "prediction"
    )

    # Compared in integers: IoU > 1/2 and IoU > 3/4 without rounding.
    match = 2 * pairs.intersection > pairs.union
    match_75 = 4 * pairs.intersection[match] > 3 * pairs.union[match]
    iou = pairs.iou[match]
    pair_class = truth_class[pairs.truth_index[match]]
    same = pair_class == predicted_class[pairs.prediction_index[match]]

    def by_class(classes: Int64Array) -> Int64Array:
        return np.bincount(classes, minlength=num_classes).astype(np.int64)

    iou_by_class = np.bincount(pair_class[same], weights=iou[same], minlength=num_classes)
    return ImageStatistics(
        truth_cells=np.append(len(truth_class), by_class(truth_class)),
        predicted_cells=np.append(len(predicted_class), by_class(predicted_class)),
        matched=np.append(len(iou), by_class(pair_class[same])),
        matched_75=np.append(np.count_nonzero(match_75), by_class(pair_class[same & match_75])),
        iou_sum=np.append(iou.sum(), iou_by_class),
        aji=_aggregated_jaccard(pairs, _best_pairs(pairs)),
        aji_plus=_aggregated_jaccard(pairs, _one_to_one_pairs(pairs)),
        dice=np.array(
            [2 * pairs.intersection.sum(), pairs.truth_areas.sum() + pairs.prediction_areas.sum()]
        ),
    )


def cell_metrics(statistics: Sequence[ImageStatistics], classes: Sequence[str]) -> dict[str, float]:
    """Turn the sums of a data set's images into metrics.

    Args:
        statistics: One entry an image; order does not matter. An image may occur several times, as
            it does in a bootstrap sample.
        classes: C names, in the order of the class numbers.

    Returns:
        The metrics by name: see the table at the top of this module. Undefined ones are NaN.

    Raises:
        ValueError: The statistics are of another number of classes.
    """
    rows = len(classes) + 1
    if any(len(s.matched) != rows for s in statistics):
        raise UserError(f"The statistics of an image are not those of the {rows - 1} classes.")
    shape = (len(statistics), rows)
    matched = np.array([s.matched for s in statistics], np.int64).reshape(shape)
    iou_sum = np.array([s.iou_sum for s in statistics], np.float64).reshape(shape)
    truth = np.array([s.truth_cells for s in statistics], np.int64).reshape(shape)
    predicted = np.array([s.predicted_cells for s in statistics], np.int64).reshape(shape)
    cells = truth + predicted

    metrics: dict[str, float] = {}
    per_image = _panoptic_quality(matched, iou_sum, cells)
    pooled = _panoptic_quality(matched.sum(0), iou_sum.sum(0), cells.sum(0))
    for name, image_values, pooled_values in zip(
        ("PQ", "SQ", "DQ"), per_image, pooled, strict=True
    ):
        metrics[f"b{name}"] = mean_defined(image_values[:, 0])
        metrics[f"m{name}"] = mean_defined(
            [mean_defined(of_image) for of_image in image_values[:, 1:]]
        )
        metrics[f"m{name}+"] = mean_defined(pooled_values[1:])
    for name, pairs in (("AJI", "aji"), ("AJI+", "aji_plus"), ("Dice", "dice")):
        sums = np.array([getattr(s, pairs) for s in statistics], np.int64).reshape(-1, 2)
        metrics[name] = mean_defined(_ratio(sums[:, 0], sums[:, 1]))

    hits, n_truth, n_predicted = matched[:, 0].sum(), truth[:, 0].sum(), predicted[:, 0].sum()
    hits_75 = sum(int(s.matched_75[0]) for s in statistics)
    metrics["F1"] = float(_ratio(2 * hits, n_truth + n_predicted))
    metrics["precision"] = float(_ratio(hits, n_predicted))
    metrics["recall"] = float(_ratio(hits, n_truth))
    for name, n in (("threat_score_50", hits), ("threat_score_75", hits_75)):
        metrics[name] = float(_ratio(n, n_truth + n_predicted - n))

    determination = [_r_squared(truth[:, c], predicted[:, c]) for c in range(1, rows)]
    metrics["R2"] = mean_defined(determination)
    for c, name in enumerate(classes, start=1):
        for quality, values in zip(("PQ", "SQ", "DQ"), pooled, strict=True):
            metrics[f"{quality}_{name}"] = float(values[c])
        metrics[f"F1_{name}"] = float(_ratio(2 * matched[:, c].sum(), cells[:, c].sum()))
        metrics[f"R2_{name}"] = determination[c - 1]
        metrics[f"truth_{name}"] = float(truth[:, c].sum())
        metrics[f"predicted_{name}"] = float(predicted[:, c].sum())
    return metrics


def _classes_of(ids: Int64Array, classes: npt.ArrayLike, num_classes: int, name: str) -> Int64Array:
    """The class of each id, checked."""
    table = np.asarray(classes)
    if ids.size and ids.max() >= len(table):
        raise UserError(f"Cell {ids.max()} of the {name} has no class: the list is too short.")
    of_ids = table[ids].astype(np.int64) if ids.size else np.zeros(0, np.int64)
    outside = (of_ids < 0) | (of_ids >= num_classes)
    if outside.any():
        raise UserError(
            f"Cell {ids[outside][0]} of the {name} has the class {of_ids[outside][0]}, but classes "
            f"go from 0 to {num_classes - 1}."
        )
    return of_ids


def _best_pairs(pairs: OverlapPairs) -> Int64Array:
    """For each true cell the pair of greatest IoU; the first in raster order among equals."""
    order = np.lexsort((pairs.prediction_index, -pairs.iou, pairs.truth_index))
    _, first = np.unique(pairs.truth_index[order], return_index=True)
    return order[first]


def _one_to_one_pairs(pairs: OverlapPairs) -> Int64Array:
    """The pairs of the one-to-one assignment with the greatest sum of IoUs."""
    n_truth, n_predictions = len(pairs.truth_ids), len(pairs.prediction_ids)
    if not pairs.iou.size:
        return np.zeros(0, np.int64)
    # A dummy partner for each true cell makes a full assignment exist; it costs as much as IoU 0.
    every = np.arange(n_truth)
    row = np.concatenate([pairs.truth_index, every])
    column = np.concatenate([pairs.prediction_index, n_predictions + every])
    cost = np.concatenate([2.0 - pairs.iou, np.full(n_truth, 2.0)])
    graph = coo_array((cost, (row, column)), shape=(n_truth, n_predictions + n_truth)).tocsr()
    rows, columns = min_weight_full_bipartite_matching(graph)
    real = columns < n_predictions
    # Pairs are sorted by (true, predicted) cell.
    keys = pairs.truth_index * n_predictions + pairs.prediction_index
    return np.searchsorted(keys, rows[real].astype(np.int64) * n_predictions + columns[real])


def _aggregated_jaccard(pairs: OverlapPairs, chosen: Int64Array) -> Int64Array:
    """Numerator and denominator of AJI for the chosen pairs."""
    alone_truth = np.ones(len(pairs.truth_ids), bool)
    alone_truth[pairs.truth_index[chosen]] = False
    alone_prediction = np.ones(len(pairs.prediction_ids), bool)
    alone_prediction[pairs.prediction_index[chosen]] = False
    union = (
        pairs.union[chosen].sum()
        + pairs.truth_areas[alone_truth].sum()
        + pairs.prediction_areas[alone_prediction].sum()
    )
    return np.array([pairs.intersection[chosen].sum(), union])


def _panoptic_quality(
    matched: Int64Array, iou_sum: FloatArray, cells: Int64Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """PQ, SQ and DQ; NaN without cells, SQ 0 without a match."""
    # TP + FP/2 + FN/2 is half the number of true and predicted cells.
    pq = _ratio(2 * iou_sum, cells)
    dq = _ratio(2 * matched, cells)
    sq = np.where(np.isnan(pq), np.nan, np.nan_to_num(_ratio(iou_sum, matched)))
    return pq, sq, dq


def _r_squared(truth: Int64Array, predicted: Int64Array) -> float:
    """Coefficient of determination of the counts; NaN where the truth does not vary."""
    if not truth.size:
        return float("nan")
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1.0 - ((truth - predicted) ** 2).sum() / spread) if spread > 0 else float("nan")


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> FloatArray:
    """Quotient, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            np.asarray(denominator) == 0, np.nan, np.true_divide(numerator, denominator)
        )


def mean_defined(values: npt.ArrayLike) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    array = np.asarray(values, np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")
