"""Who keeps a shared pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation.label_map import (
    flatten_planes,
    label_map_from_predictions,
    label_map_from_truth,
)


def rle(columns: slice, height: int = 2, width: int = 10) -> dict[str, Any]:
    """A mask of whole columns."""
    bitmap = np.zeros((height, width), np.uint8, order="F")
    bitmap[:, columns] = 1
    return {"size": [height, width], "counts": coco_mask.encode(bitmap)["counts"].decode()}


def test_the_higher_score_keeps_shared_pixels() -> None:
    masks = [rle(slice(0, 5)), rle(slice(4, 9))]
    first = label_map_from_predictions(masks, [0.9, 0.8], 2, 10)
    np.testing.assert_array_equal(first, [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0]] * 2)
    second = label_map_from_predictions(masks, [0.8, 0.9], 2, 10)
    np.testing.assert_array_equal(second, [[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]] * 2)


def test_at_equal_scores_the_smaller_mask_wins_then_the_earlier() -> None:
    nested = [rle(slice(0, 9)), rle(slice(2, 5))]
    expected = [[1, 1, 2, 2, 2, 1, 1, 1, 1, 0]] * 2
    np.testing.assert_array_equal(label_map_from_predictions(nested, [1, 1], 2, 10), expected)
    np.testing.assert_array_equal(label_map_from_truth(nested, 2, 10), expected)
    equal = [rle(slice(0, 4)), rle(slice(3, 7))]
    np.testing.assert_array_equal(
        label_map_from_predictions(equal, [1, 1], 2, 10), [[1, 1, 1, 1, 2, 2, 2, 0, 0, 0]] * 2
    )


def test_a_prediction_that_keeps_too_little_is_left_out_and_hides_nobody() -> None:
    # The second keeps one of five columns; the third shares columns with the second only.
    masks = [rle(slice(0, 5)), rle(slice(1, 6)), rle(slice(5, 8))]
    scores = [0.9, 0.8, 0.7]
    np.testing.assert_array_equal(
        label_map_from_predictions(masks, scores, 2, 10), [[1] * 5 + [3] * 3 + [0] * 2] * 2
    )
    np.testing.assert_array_equal(
        label_map_from_predictions(masks, scores, 2, 10, min_kept=0.2),
        [[1] * 5 + [2] + [3] * 2 + [0] * 2] * 2,
    )


def test_a_true_cell_is_never_left_out() -> None:
    masks = [rle(slice(0, 4)), rle(slice(1, 6))]
    np.testing.assert_array_equal(
        label_map_from_truth(masks, 2, 10), [[1] * 4 + [2] * 2 + [0] * 4] * 2
    )


def test_without_predictions_the_map_is_background() -> None:
    assert label_map_from_predictions([], [], 3, 4).tolist() == np.zeros((3, 4)).tolist()


def test_every_mask_needs_a_score() -> None:
    with pytest.raises(ValueError, match="1 masks need as many scores"):
        label_map_from_predictions([rle(slice(0, 1))], [0.5, 0.6], 2, 10)


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
    masks = [
        {
            "size": [20, 20],
            "counts": coco_mask.encode(np.asfortranarray(b, np.uint8))["counts"].decode(),
        }
        for b in bitmaps
    ]
    planes = bitmaps * np.arange(1, 13, dtype=np.int32)[:, None, None]
    np.testing.assert_array_equal(flatten_planes(planes), label_map_from_truth(masks, 20, 20))
