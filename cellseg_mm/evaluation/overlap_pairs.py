"""Which true cell overlaps which predicted one, and by how many pixels, at a cost linear in pixels.

An N × M table of IoUs is almost empty when cells are small. Only the pairs that share a pixel are
listed here; every other pair has IoU 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from cellseg_mm.errors import UserError
from cellseg_mm.structures.mask_runs import MaskRuns

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OverlapPairs:
    """T true and N predicted cells of one image and the K pairs of them that share a pixel.

    Attributes:
        truth_ids, prediction_ids: (T,) and (N,) int64, the cells' ids.
        truth_areas, prediction_areas: (T,) and (N,) int64, pixels.
        truth_index, prediction_index: (K,) int64, positions of each pair's cells in these.
        intersection: (K,) int64 ≥ 1, pixels.
    """

    truth_ids: Int64Array
    prediction_ids: Int64Array
    truth_areas: Int64Array
    prediction_areas: Int64Array
    truth_index: Int64Array
    prediction_index: Int64Array
    intersection: Int64Array

    @cached_property
    def union(self) -> Int64Array:
        """(K,) int64, pixels of each pair's union."""
        return (
            self.truth_areas[self.truth_index]
            + self.prediction_areas[self.prediction_index]
            - self.intersection
        )

    @cached_property
    def iou(self) -> npt.NDArray[np.float64]:
        """(K,) float64 in (0, 1]."""
        return self.intersection / self.union


def overlap_pairs(
    truth: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer]
) -> OverlapPairs:
    """Find the overlapping pairs of two label maps.

    Cells are listed in raster order of their first pixel, whatever their ids, so nothing that is
    computed from the result depends on the numbering.

    Args:
        truth, prediction: (H, W) ids, 0 = background.

    Raises:
        ValueError: The maps differ in shape, or hold fractions or negative ids.
    """
    if truth.shape != prediction.shape or truth.ndim != 2:
        raise UserError(
            f"Truth {truth.shape} and prediction {prediction.shape} must be two label maps of the "
            "same height and width."
        )
    for name, label_map in (("truth", truth), ("prediction", prediction)):
        if label_map.dtype.kind not in "ui" or label_map.min(initial=0) < 0:
            raise UserError(f"The label map of the {name} must hold integers ≥ 0.")
    flat_truth, flat_prediction = truth.ravel(), prediction.ravel()
    # Pixels with the same two labels lie in runs: all that follows works on runs, not on pixels.
    new_run = np.ones(flat_truth.size, bool)
    new_run[1:] = flat_truth[1:] != flat_truth[:-1]
    new_run[1:] |= flat_prediction[1:] != flat_prediction[:-1]
    starts = np.flatnonzero(new_run)
    lengths = np.diff(starts, append=flat_truth.size)
    truth_ids, truth_of_run = _in_raster_order(flat_truth[starts])
    prediction_ids, prediction_of_run = _in_raster_order(flat_prediction[starts])
    both = (truth_of_run >= 0) & (prediction_of_run >= 0)
    table = coo_array(
        (lengths[both], (truth_of_run[both], prediction_of_run[both])),
        shape=(len(truth_ids), len(prediction_ids)),
    )
    return OverlapPairs(
        truth_ids,
        prediction_ids,
        _sum_by_index(truth_of_run, lengths, len(truth_ids)),
        _sum_by_index(prediction_of_run, lengths, len(prediction_ids)),
        *_pairs(table.tocsr()),
    )


def mask_overlap_pairs(truth: MaskRuns, prediction: MaskRuns) -> OverlapPairs:
    """Find the overlapping pairs of two lists of masks; masks of one list may overlap, too.

    The ids of the T and N masks are their positions 0 … T - 1 and 0 … N - 1 in the lists.

    Raises:
        ValueError: The masks lie on images of different sizes.
    """
    return OverlapPairs(
        np.arange(len(truth)),
        np.arange(len(prediction)),
        truth.areas,
        prediction.areas,
        *_pairs(truth.shared_pixels(prediction)),
    )


def _in_raster_order(labels: npt.NDArray[np.integer]) -> tuple[Int64Array, Int64Array]:
    """Distinct positive labels by first occurrence, and each label's position among them or -1."""
    ids, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first[ids > 0])
    background = len(ids) - len(order)  # 0 or 1: the background sorts first
    position = np.full(len(ids), -1, np.int64)
    position[order + background] = np.arange(len(order))
    return ids[background:][order].astype(np.int64), position[inverse]


def _sum_by_index(index: Int64Array, values: Int64Array, size: int) -> Int64Array:
    """Sums of the values by index; entries with index -1 are left out."""
    # float64 is exact up to 2**53 pixels.
    return np.bincount(index + 1, weights=values, minlength=size + 1)[1:].astype(np.int64)


def _pairs(table: csr_array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Rows, columns and values of a sparse matrix, sorted."""
    table.sort_indices()
    pairs = table.tocoo()
    return pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data
