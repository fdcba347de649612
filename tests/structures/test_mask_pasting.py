"""Box-local pasting, against the stock head's pasting and pycocotools' encoding."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as coco_mask

from cellseg_mm.structures.probability_masks import ProbabilityMasks
from cellseg_mm.structures.rle_masks import RLEMasks


def stock_strings(
    probabilities: torch.Tensor, boxes: torch.Tensor, height: int, width: int, threshold: float
) -> list[str]:
    canvas = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if x1 >= width + 1 or y1 >= height + 1 or x2 <= -1 or y2 <= -1:
            continue  # the stock function fails on a box outside the image
        pasted, window = _do_paste_mask(
            probabilities[i : i + 1, None], boxes[i : i + 1], height, width, skip_empty=True
        )
        canvas[(slice(i, i + 1), *window)] = pasted >= threshold
    return [
        coco_mask.encode(np.asfortranarray(m))["counts"].decode() for m in canvas.numpy().view("u1")
    ]


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    count=st.integers(0, 12),
    side=st.sampled_from([1, 7, 28]),
    threshold=st.sampled_from([0.0, 0.5, 0.9]),
    seed=st.integers(0, 1 << 16),
)
def test_equals_stock_paste_and_pycocotools(
    height: int, width: int, count: int, side: int, threshold: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    probabilities = torch.as_tensor(rng.random((count, side, side)), dtype=torch.float32)
    probabilities[rng.random(count) < 0.2] = 0.0  # empty masks
    corner = rng.uniform(-10, [width, height], (count, 2))  # partly outside
    extent = rng.uniform(0, 40, (count, 2))
    extent[rng.random(count) < 0.2] *= 0.01  # under a pixel
    extent[rng.random(count) < 0.1] = 0.0
    boxes = torch.as_tensor(np.hstack([corner, corner + extent]), dtype=torch.float32)
    masks = ProbabilityMasks(probabilities, boxes, height, width).to_rle(threshold)
    assert masks.counts == stock_strings(probabilities, boxes, height, width, threshold)


def test_large_and_small_boxes_keep_their_order() -> None:
    sizes = [3.0, 900.0, 5.0, 1500.0, 20.0, 1.0]
    boxes = torch.tensor([[10.0, 20.0, 10 + s, 20 + s] for s in sizes])
    ones = torch.ones(len(sizes), 28, 28)
    masks = ProbabilityMasks(ones, boxes, 2000, 2000).to_rle(0.5)
    assert masks.counts == stock_strings(ones, boxes, 2000, 2000, 0.5)


def test_a_box_outside_the_image_is_an_empty_mask() -> None:
    boxes = torch.tensor([[50.0, 50, 60, 60], [-9.0, -9, -5, -5], [2.0, 50, 9, 60]])
    masks = ProbabilityMasks(torch.ones(3, 28, 28), boxes, 20, 30).to_rle(0.5)
    assert not masks.to_ndarray().any()
    assert masks.counts == [coco_mask.encode(np.zeros((20, 30), "u1", "F"))["counts"].decode()] * 3


def test_rle_masks_are_a_sequence_of_coco_rles() -> None:
    bitmaps = np.zeros((3, 4, 5), np.uint8)
    bitmaps[0, 1:3, 2] = 1
    bitmaps[2] = 1
    counts = [coco_mask.encode(np.asfortranarray(b))["counts"].decode() for b in bitmaps]
    masks = RLEMasks(counts, 4, 5)
    assert masks[0] == {"size": [4, 5], "counts": counts[0]}
    assert [m["counts"] for m in masks] == counts
    np.testing.assert_array_equal(masks.to_ndarray(), bitmaps)
    assert masks.astype(bool).dtype == bool
    assert masks[torch.tensor([True, False, True])].counts == [counts[0], counts[2]]
    assert masks[np.array([2, 2])].counts == [counts[2]] * 2
    assert RLEMasks.cat([masks[:1], masks[1:]]).counts == counts
    assert RLEMasks([], 4, 5).to_ndarray().shape == (0, 4, 5)
