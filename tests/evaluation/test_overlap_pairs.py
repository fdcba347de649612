"""Sparse overlaps against a dense table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation.overlap_pairs import OverlapPairs, mask_overlap_pairs, overlap_pairs
from cellseg_mm.structures.mask_runs import MaskRuns

MAPS = hnp.arrays(np.int32, (6, 7), elements=st.sampled_from([0, 0, 1, 2, 5, 70_000]))


def dense(pairs: OverlapPairs) -> npt.NDArray[np.int64]:
    table = np.zeros((len(pairs.truth_ids), len(pairs.prediction_ids)), np.int64)
    np.add.at(table, (pairs.truth_index, pairs.prediction_index), pairs.intersection)
    return table


@settings(max_examples=100, deadline=None)
@given(MAPS, MAPS)
def test_label_maps(truth: npt.NDArray[np.int32], prediction: npt.NDArray[np.int32]) -> None:
    pairs = overlap_pairs(truth, np.asfortranarray(prediction))
    assert sorted(pairs.truth_ids) == sorted(set(truth.ravel().tolist()) - {0})
    first = [np.flatnonzero(truth.ravel() == i)[0] for i in pairs.truth_ids]
    assert first == sorted(first)
    for table, label_map, areas in (
        (pairs.truth_ids, truth, pairs.truth_areas),
        (pairs.prediction_ids, prediction, pairs.prediction_areas),
    ):
        assert areas.tolist() == [(label_map == i).sum() for i in table]
    expected = [
        [((truth == i) & (prediction == j)).sum() for j in pairs.prediction_ids]
        for i in pairs.truth_ids
    ]
    np.testing.assert_array_equal(dense(pairs), np.array(expected).reshape(dense(pairs).shape))
    assert len(pairs.iou) == np.count_nonzero(dense(pairs))


BITMAPS = hnp.arrays(bool, st.tuples(st.integers(0, 5), st.just(6), st.just(5)))


def pixels_of(bitmaps: npt.NDArray[np.bool_]) -> tuple[list, MaskRuns]:
    rles = [coco_mask.encode(np.asfortranarray(b, np.uint8)) for b in bitmaps]
    text = [{"size": r["size"], "counts": r["counts"].decode()} for r in rles]
    return rles, MaskRuns.from_rles(text, 6, 5)


@settings(max_examples=100, deadline=None)
@given(BITMAPS, BITMAPS)
def test_masks_that_overlap(
    truth: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]
) -> None:
    truth_rles, truth_pixels = pixels_of(truth)
    predicted_rles, predicted_pixels = pixels_of(prediction)
    pairs = mask_overlap_pairs(truth_pixels, predicted_pixels)
    table = np.zeros((len(prediction), len(truth)))
    table[pairs.prediction_index, pairs.truth_index] = pairs.iou
    if truth_rles and predicted_rles:
        # pycocotools gives 0/0 for two empty masks.
        expected = np.nan_to_num(coco_mask.iou(predicted_rles, truth_rles, [0] * len(truth_rles)))
        np.testing.assert_allclose(table, expected)
    assert (pairs.intersection > 0).all()


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="share one image"):
        mask_overlap_pairs(MaskRuns.from_rles([], 3, 4), MaskRuns.from_rles([], 4, 3))
