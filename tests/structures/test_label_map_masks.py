"""Every operation of LabelMapMasks, against BitmapMasks of the same instances."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.mask import BitmapMasks
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData

from cellseg_mm.structures.label_map_masks import LabelMapMasks

# Sizes in which OpenCV's nearest-neighbour resizing and shifting is exercised well.
SIDE = st.integers(1, 40)


@st.composite
def instances(draw: st.DrawFn) -> np.ndarray:
    """(N, H, W) uint8 bitmaps that overlap and may be empty."""
    height, width, count = draw(SIDE), draw(SIDE), draw(st.integers(0, 7))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    bitmaps = np.zeros((count, height, width), np.uint8)
    for bitmap in bitmaps:
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(0, 15, 2)
        bitmap[y : y + h, x : x + w] = rng.random((h, w))[: height - y, : width - x] < 0.7
    return bitmaps


def both(bitmaps: np.ndarray) -> tuple[LabelMapMasks, BitmapMasks]:
    return LabelMapMasks.from_bitmaps(bitmaps), BitmapMasks(bitmaps, *bitmaps.shape[1:])


def assert_same(ours: LabelMapMasks, stock: BitmapMasks) -> None:
    assert isinstance(ours, LabelMapMasks)
    assert (len(ours), ours.height, ours.width) == (len(stock), stock.height, stock.width)
    np.testing.assert_array_equal(ours.to_ndarray(), stock.to_ndarray())
    np.testing.assert_array_equal(ours.areas, stock.areas)
    assert torch.equal(ours.get_bboxes().tensor, stock.get_bboxes("hbox").tensor)
    for bitmap, expected in zip(ours, stock.to_ndarray(), strict=True):
        np.testing.assert_array_equal(bitmap, expected)


property_based = settings(max_examples=60, deadline=None)


@property_based
@given(instances())
def test_packing(bitmaps: np.ndarray) -> None:
    ours, stock = both(bitmaps)
    assert_same(ours, stock)
    assert torch.equal(ours.to_tensor(torch.float32, "cpu"), stock.to_tensor(torch.float32, "cpu"))


@property_based
@given(instances(), st.sampled_from(["horizontal", "vertical", "diagonal"]))
def test_flip(bitmaps: np.ndarray, direction: str) -> None:
    ours, stock = both(bitmaps)
    assert_same(ours.flip(direction), stock.flip(direction))


@property_based
@given(instances(), SIDE, SIDE)
def test_resize(bitmaps: np.ndarray, height: int, width: int) -> None:
    ours, stock = both(bitmaps)
    assert_same(ours.resize((height, width)), stock.resize((height, width)))


@property_based
@given(
    instances(),
    st.one_of(st.floats(0.3, 3.0), st.tuples(st.integers(20, 90), st.integers(20, 90))),
)
def test_rescale(bitmaps: np.ndarray, scale: Any) -> None:
    ours, stock = both(bitmaps)
    if min(round(s * f) for s in bitmaps.shape[1:] for f in [_factor(bitmaps, scale)]) < 1:
        return  # OpenCV cannot make an image without pixels
    assert_same(ours.rescale(scale), stock.rescale(scale))


def _factor(bitmaps: np.ndarray, scale: Any) -> float:
    if isinstance(scale, float):
        return scale
    return min(max(scale) / max(bitmaps.shape[1:]), min(scale) / min(bitmaps.shape[1:]))


@property_based
@given(instances(), st.integers(0, 20), st.integers(0, 20))
def test_pad(bitmaps: np.ndarray, more_height: int, more_width: int) -> None:
    ours, stock = both(bitmaps)
    shape = (bitmaps.shape[1] + more_height, bitmaps.shape[2] + more_width)
    assert_same(ours.pad(shape), stock.pad(shape))
    assert_same(ours.to("cpu").pad(shape), stock.pad(shape))


@property_based
@given(instances(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_expand(bitmaps: np.ndarray, top: int, left: int, bottom: int, right: int) -> None:
    ours, stock = both(bitmaps)
    shape = (bitmaps.shape[1] + top + bottom, bitmaps.shape[2] + left + right)
    assert_same(ours.expand(*shape, top, left), stock.expand(*shape, top, left))


@property_based
@given(instances(), st.data())
def test_crop(bitmaps: np.ndarray, data: st.DataObject) -> None:
    ours, stock = both(bitmaps)
    _, height, width = bitmaps.shape
    x1 = data.draw(st.integers(-5, width - 1))
    y1 = data.draw(st.integers(-5, height - 1))
    box = np.array([x1, y1, x1 + data.draw(SIDE), y1 + data.draw(SIDE)])
    assert_same(ours.crop(box), stock.crop(box))


@property_based
@given(instances(), SIDE, SIDE, st.integers(-45, 45), st.integers(-45, 45), st.data())
def test_translate(
    bitmaps: np.ndarray, height: int, width: int, right: int, down: int, data: st.DataObject
) -> None:
    ours, stock = both(bitmaps)
    direction = data.draw(st.sampled_from(["horizontal", "vertical", "both"]))
    offset: Any = {"horizontal": right, "vertical": down, "both": (right, down)}[direction]
    moved = ours.translate((height, width), offset, direction)
    # OpenCV takes at most four channels with a border value, so the stock masks go one by one.
    expected = [
        BitmapMasks(bitmap[None], *bitmap.shape)
        .translate((height, width), offset, direction)
        .to_ndarray()
        for bitmap in stock.to_ndarray()
    ]
    stacked = np.concatenate([*expected, np.zeros((0, height, width), np.uint8)])
    assert_same(moved, BitmapMasks(stacked, height, width))


@property_based
@given(instances(), st.data())
def test_index(bitmaps: np.ndarray, data: st.DataObject) -> None:
    ours, stock = both(bitmaps)
    count = len(bitmaps)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    order = np.array(
        data.draw(st.lists(st.integers(0, count - 1), max_size=9)) if count else [], np.int64
    )
    for masks in (ours, ours.to("cpu")):
        assert_same(masks[flags], stock[flags])
        assert_same(masks[order], stock[order])  # with repetitions
        assert_same(masks[1:3], stock[1:3])
        if count:
            assert_same(masks[count - 1], stock[count - 1])
    assert_same(ours[torch.as_tensor(flags)], stock[flags])


@property_based
@given(instances(), st.data())
def test_crop_and_resize(bitmaps: np.ndarray, data: st.DataObject) -> None:
    ours, stock = both(bitmaps)
    count, height, width = bitmaps.shape
    if not count:
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
    corner = rng.uniform(0, [width, height], (9, 2))
    boxes = np.hstack([corner, corner + rng.uniform(0, 25, (9, 2))]).astype(np.float32)
    inds = rng.integers(0, count, 9)
    for binarize in (True, False):
        expected = stock.crop_and_resize(boxes, (14, 14), inds, binarize=binarize)
        got = ours.crop_and_resize(boxes, (14, 14), inds, binarize=binarize)
        np.testing.assert_array_equal(got.to_ndarray(), expected.to_ndarray())
        on_device = ours.to("cpu").sample(
            torch.as_tensor(boxes), torch.as_tensor(inds), (14, 14), binarize
        )
        np.testing.assert_array_equal(on_device.numpy(), expected.to_ndarray())


@property_based
@given(instances(), instances())
def test_cat(first: np.ndarray, second: np.ndarray) -> None:
    height = max(first.shape[1], second.shape[1])
    width = max(first.shape[2], second.shape[2])
    (ours_1, stock_1), (ours_2, stock_2) = both(first), both(second)
    ours = LabelMapMasks.cat([ours_1.pad((height, width)), ours_2.pad((height, width))])
    stock = BitmapMasks.cat([stock_1.pad((height, width)), stock_2.pad((height, width))])
    assert_same(ours, stock)


@property_based
@given(instances())
def test_pickle_and_device(bitmaps: np.ndarray) -> None:
    ours, stock = both(bitmaps)
    assert_same(pickle.loads(pickle.dumps(ours)), stock)
    moved = ours.to("cpu")
    assert isinstance(moved.planes, torch.Tensor)
    assert_same(moved, stock)
    assert_same(moved.numpy(), stock)


def test_rotate_and_shear_by_hand() -> None:
    planes = np.zeros((1, 5, 5), np.int32)
    planes[0, 2, 4] = 7
    masks = LabelMapMasks(planes, [7])
    quarter = masks.rotate((5, 5), 90)  # clockwise, as mmcv: right of the centre goes below it
    assert np.argwhere(quarter.to_ndarray()[0]).tolist() == [[4, 2]]
    sheared = masks.shear((5, 5), -1.0)  # two rows down: two pixels to the left
    assert np.argwhere(sheared.to_ndarray()[0]).tolist() == [[2, 2]]


def test_the_stock_visualizer_draws_the_truth() -> None:
    masks = LabelMapMasks(np.array([[[0, 7], [7, 0]]], np.int32), [7])
    truth = InstanceData(masks=masks, labels=torch.zeros(1, dtype=torch.int64))
    image = np.zeros((2, 2, 3), np.uint8)
    drawn = DetLocalVisualizer()._draw_instances(image, truth, ("cell",), [(255, 0, 0)])
    assert drawn.any()


def test_instance_data_selects_and_moves_masks() -> None:
    bitmaps = np.zeros((3, 4, 4), np.uint8)
    for i, bitmap in enumerate(bitmaps):
        bitmap[i, i] = 1
    data = InstanceData(masks=LabelMapMasks.from_bitmaps(bitmaps), labels=torch.arange(3))
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        chosen = data.to("cpu")[index]
        np.testing.assert_array_equal(chosen.masks.to_ndarray(), bitmaps[chosen.labels.numpy()])
        assert len(chosen.masks.planes) == 1
    assert len(data[torch.zeros(3, dtype=torch.bool)].masks) == 0


def test_cost_of_a_sample_does_not_depend_on_the_number_of_cells() -> None:
    planes = np.zeros((1, 500, 500), np.int32)
    planes[0, ::5, ::5] = np.arange(1, 10001).reshape(100, 100)
    few = pickle.dumps(LabelMapMasks(planes, np.arange(1, 11)))
    many = pickle.dumps(LabelMapMasks(planes, np.arange(1, 10001)))
    assert len(many) - len(few) < 10000 * 8 + 100  # the ids; a bitmap would be 250,000 bytes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.resize((9, 9), "bilinear"), "would mix instance ids"),
        (lambda m: m.pad((9, 9), 1), "padded with background"),
        (lambda m: m.translate((3, 3), 0.5), "whole pixels"),
        (lambda m: m.rotate((3, 3), 10, border_value=1), "background"),
        (lambda m: m.get_bboxes("rbox"), "horizontal boxes"),
        (lambda m: LabelMapMasks(m.planes[0], [1]), r"must be \(P, H, W\)"),
        (lambda m: LabelMapMasks(m.planes, [0]), "must be positive"),
        (lambda m: LabelMapMasks.cat([]), "no masks"),
        (lambda m: m.crop(np.array([5, 5, 9, 9])), "outside the image"),
        (lambda m: LabelMapMasks.cat([m, m.resize((9, 9))]), "cannot be concatenated"),
    ],
)
def test_bad_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(LabelMapMasks(np.ones((1, 3, 3), np.int32), [1]))
