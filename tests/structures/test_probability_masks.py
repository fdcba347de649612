"""Pasting against the stock head and pycocotools; averages against a canvas for each mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as coco_mask

from cellseg_mm.structures.probability_masks import ProbabilityMasks


def random_masks(seed: int, count: int, height: int, width: int) -> ProbabilityMasks:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) - 4
    extent = torch.rand(count, 2, generator=generator) * 25
    grids = torch.rand(count, 7, 7, generator=generator)
    return ProbabilityMasks(grids, torch.cat([corner, corner + extent], 1), height, width)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 16), count=st.integers(0, 12), copies=st.integers(1, 7))
def test_equal_masks_average_to_one_of_them(seed: int, count: int, copies: int) -> None:
    masks = random_masks(seed, count, 40, 30)
    groups = np.tile(np.random.default_rng(seed).permutation(count), copies)
    fused = ProbabilityMasks.cat([masks] * copies).average(groups, 0.4)
    expected = masks.to_rle(0.4).counts
    assert [fused.counts[group] for group in groups[:count]] == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 16), count=st.integers(1, 12))
def test_average_equals_that_of_canvases(seed: int, count: int) -> None:
    height, width = 35, 50
    masks = random_masks(seed, count, height, width)
    groups = np.random.default_rng(seed).integers(0, 3, count)
    groups = np.unique(groups, return_inverse=True)[1]
    canvases, _ = _do_paste_mask(masks.grids[:, None], masks.boxes, height, width, skip_empty=False)
    fused = masks.average(groups, 0.3)
    for group, bitmap in enumerate(fused.to_ndarray()):
        members = np.flatnonzero(groups == group)
        mean = canvases[members].double().mean(0).numpy()
        # The window ends a pixel outside the boxes; a large grid cell reaches a little further.
        boxes = masks.boxes[members].numpy()
        low, high = np.floor(boxes[:, :2]).min(0) - 1, np.ceil(boxes[:, 2:]).max(0) + 1
        y, x = np.mgrid[:height, :width]
        mean[(x < low[0]) | (y < low[1]) | (x >= high[0]) | (y >= high[1])] = 0
        clear = np.abs(mean - 0.3) > 1e-6
        assert np.array_equal(bitmap[clear], (mean >= 0.3)[clear])


def test_a_shift_worked_out_by_hand() -> None:
    # Two squares of 4×4 pixels with probability 1, one shifted by 2: 0.5 where only one lies. Where
    # that is the threshold, the first of the two decides.
    boxes = torch.tensor([[2.0, 3, 6, 7], [4.0, 3, 8, 7]])
    masks = ProbabilityMasks(torch.ones(2, 4, 4), boxes, 12, 12)
    for threshold, columns in ((0.49, (2, 8)), (0.5, (2, 6)), (0.51, (4, 6))):
        bitmap = np.zeros((12, 12), np.uint8)
        bitmap[3:7, slice(*columns)] = 1
        (fused,) = masks.average(np.array([0, 0]), threshold)
        assert fused["counts"] == coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()


def test_masks_of_two_images_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="one image size"):
        ProbabilityMasks.cat([random_masks(0, 1, 8, 9), random_masks(0, 1, 9, 8)])


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
