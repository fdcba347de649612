"""Who keeps a shared pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation.label_map import flatten_planes, paint_label_map
from cellseg_mm.structures.mask_runs import MaskRuns


def encode(bitmaps: list[npt.NDArray[Any]]) -> MaskRuns:
    """Masks of one image by way of pycocotools."""
    counts = [coco_mask.encode(np.asfortranarray(b, np.uint8))["counts"] for b in bitmaps]
    return MaskRuns.from_counts([c.decode() for c in counts], *bitmaps[0].shape)


def columns(*spans: slice) -> MaskRuns:
    """Masks of whole columns in an image of 2 × 10 pixels."""
    bitmaps = [np.zeros((2, 10), bool) for _ in spans]
    for bitmap, span in zip(bitmaps, spans, strict=True):
        bitmap[:, span] = True
    return encode(bitmaps)


def test_the_higher_score_keeps_shared_pixels() -> None:
    masks = columns(slice(0, 5), slice(4, 9))
    first = paint_label_map(masks, [0.9, 0.8])
    np.testing.assert_array_equal(first, [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0]] * 2)
    second = paint_label_map(masks, [0.8, 0.9])
    np.testing.assert_array_equal(second, [[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]] * 2)


def test_at_equal_scores_the_smaller_mask_wins_then_the_earlier() -> None:
    nested = columns(slice(0, 9), slice(2, 5))
    expected = [[1, 1, 2, 2, 2, 1, 1, 1, 1, 0]] * 2
    np.testing.assert_array_equal(paint_label_map(nested, [1, 1]), expected)
    np.testing.assert_array_equal(paint_label_map(nested), expected)
    equal = columns(slice(0, 4), slice(3, 7))
    np.testing.assert_array_equal(
        paint_label_map(equal, [1, 1]), [[1, 1, 1, 1, 2, 2, 2, 0, 0, 0]] * 2
    )


def test_a_prediction_that_keeps_too_little_is_left_out_and_hides_nobody() -> None:
    # The second keeps one of five columns; the third shares columns with the second only.
    masks = columns(slice(0, 5), slice(1, 6), slice(5, 8))
    scores = [0.9, 0.8, 0.7]
    np.testing.assert_array_equal(paint_label_map(masks, scores), [[1] * 5 + [3] * 3 + [0] * 2] * 2)
    np.testing.assert_array_equal(
        paint_label_map(masks, scores, min_kept=0.2),
        [[1] * 5 + [2] + [3] * 2 + [0] * 2] * 2,
    )


def test_a_true_cell_is_never_left_out() -> None:
    masks = columns(slice(0, 4), slice(1, 6))
    np.testing.assert_array_equal(paint_label_map(masks), [[1] * 4 + [2] * 2 + [0] * 4] * 2)


def test_without_predictions_the_map_is_background() -> None:
    assert paint_label_map(MaskRuns.from_counts([], 3, 4), []).tolist() == np.zeros((3, 4)).tolist()


def test_every_mask_needs_a_score() -> None:
    with pytest.raises(ValueError, match="1 masks need as many scores"):
        paint_label_map(columns(slice(0, 1)), [0.5, 0.6])


def test_planes_are_flattened_with_the_smaller_cell_on_top() -> None:
    planes = np.zeros((3, 2, 6), np.int32)
    planes[0, :, :5] = 7
    planes[1, :, 1:3] = 3
    planes[2, :, 2:6] = 9  # 8 pixels: below 3 (4 pixels), above 7 (10 pixels)
    np.testing.assert_array_equal(flatten_planes(planes), [[7, 3, 3, 9, 9, 9]] * 2)
    np.testing.assert_array_equal(flatten_planes(planes[:1]), planes[0])
    np.testing.assert_array_equal(flatten_planes(planes[0]), planes[0])


def test_planes_and_masks_are_flattened_alike() -> None:
    rng = np.random.default_rng(5)
    bitmaps = np.zeros((12, 20, 20), bool)
    for bitmap in bitmaps:
        y, x, h, w = rng.integers(1, 12, 4)
        bitmap[y : y + h, x : x + w] = True
    planes = bitmaps * np.arange(1, 13, dtype=np.int32)[:, None, None]
    np.testing.assert_array_equal(flatten_planes(planes), paint_label_map(encode(list(bitmaps))))
