"""Albumentations on planes."""

from __future__ import annotations

import random
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.transforms import Albu
from mmdet.structures.mask import BitmapMasks

from cellseg_mm.datasets.transforms.albu_label_maps import AlbuLabelMaps
from cellseg_mm.structures.label_map_masks import LabelMapMasks


def sample(bitmaps: np.ndarray, image: np.ndarray | None = None) -> dict[str, Any]:
    count, height, width = bitmaps.shape
    masks = LabelMapMasks.from_bitmaps(bitmaps)
    return {
        "img": np.zeros((height, width, 3), np.uint8) if image is None else image,
        "img_shape": (height, width),
        "gt_masks": masks,
        "gt_bboxes": masks.get_bboxes(),
        "gt_bboxes_labels": np.arange(count) % 4,
        "gt_ignore_flags": np.zeros(count, bool),
    }


def cells(count: int = 12, side: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, side, side), np.uint8)
    for bitmap in bitmaps:
        centre = tuple(int(v) for v in rng.integers(6, side - 6, 2))
        axes = tuple(int(v) for v in rng.integers(2, 6, 2))
        cv2.ellipse(bitmap, centre, axes, float(rng.integers(180)), 0, 360, 1, -1)
    return bitmaps


def assert_consistent(results: dict[str, Any]) -> None:
    masks = results["gt_masks"]
    count = len(masks)
    assert (masks.height, masks.width) == results["img"].shape[:2] == results["img_shape"]
    assert count == len(results["gt_bboxes"]) == len(results["gt_bboxes_labels"])
    assert count == len(results["gt_ignore_flags"])
    for bitmap, box in zip(masks.to_ndarray(), results["gt_bboxes"].tensor.tolist(), strict=True):
        y, x = bitmap.nonzero()
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]  # tight


DETERMINISTIC = [
    {"type": "Affine", "rotate": (45, 45), "p": 1.0},
    {"type": "ElasticTransform", "alpha": 60, "sigma": 6, "p": 1.0},
    {"type": "GridDistortion", "p": 1.0},
    {"type": "RandomCrop", "height": 30, "width": 40, "p": 1.0},
    {"type": "Resize", "height": 50, "width": 91, "p": 1.0},
    {"type": "D4", "p": 1.0},
]


@pytest.mark.parametrize("transform", DETERMINISTIC, ids=lambda t: t["type"])
def test_masks_equal_those_of_the_stock_transform(transform: dict[str, Any]) -> None:
    bitmaps = cells()
    ours = AlbuLabelMaps([transform])
    np.random.seed(3)
    results = ours.transform(sample(bitmaps))
    assert_consistent(results)

    np.random.seed(3)
    stock = Albu([transform])
    seed = int(np.random.randint(1 << 31))
    stock.aug.set_random_state(np.random.default_rng(seed), random.Random(seed))
    expected = stock.aug(image=np.zeros((64, 64, 3), np.uint8), masks=list(bitmaps))["masks"]
    kept = [i for i, bitmap in enumerate(expected) if bitmap.any()]
    np.testing.assert_array_equal(results["gt_masks"].to_ndarray(), np.stack(expected)[kept])
    assert results["gt_bboxes_labels"].tolist() == [i % 4 for i in kept]


def test_boxes_are_tighter_than_the_stock_transforms() -> None:
    bitmaps = np.zeros((1, 101, 101), np.uint8)
    cv2.circle(bitmaps[0], (50, 50), 20, 1, -1)
    transform = {"type": "Affine", "rotate": (45, 45), "p": 1.0}
    ours = AlbuLabelMaps([transform]).transform(sample(bitmaps))
    box_params: dict[str, Any] = {"type": "BboxParams", "format": "pascal_voc"}
    box_params["label_fields"] = ["gt_bboxes_labels"]
    stock_sample = sample(bitmaps)
    stock_sample["gt_masks"] = BitmapMasks(bitmaps, 101, 101)
    stock = Albu([transform], bbox_params=box_params).transform(stock_sample)
    area = (stock["gt_bboxes"].areas / ours["gt_bboxes"].areas).item()
    assert 1.8 < area < 2.1  # a circle's box turned by 45° has twice the area of the circle's


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 20), count=st.integers(0, 8), min_area=st.integers(1, 40))
def test_any_result_is_consistent(seed: int, count: int, min_area: int) -> None:
    transforms = [
        {"type": "D4", "p": 0.5},
        {"type": "Affine", "scale": (0.5, 3.0), "translate_percent": (-0.6, 0.6), "p": 0.8},
        {"type": "RandomCrop", "height": 33, "width": 20, "p": 0.5},
    ]
    np.random.seed(seed)
    results = AlbuLabelMaps(transforms, min_area).transform(sample(cells(count, seed=seed)))
    assert_consistent(results)
    assert (results["gt_masks"].areas >= min_area).all()


def test_small_fragments_go_and_an_empty_image_stays() -> None:
    bitmaps = np.zeros((2, 20, 20), np.uint8)
    bitmaps[0, 0:10, 8:18] = 1  # two of its columns stay: 20 pixels
    bitmaps[1, 0:10, 0:5] = 1  # stays whole
    crop = {"type": "Crop", "x_min": 0, "y_min": 0, "x_max": 10, "y_max": 20}
    kept = AlbuLabelMaps([crop], min_area=20).transform(sample(bitmaps))
    assert kept["gt_bboxes"].tensor.tolist() == [[8, 0, 10, 10], [0, 0, 5, 10]]
    dropped = AlbuLabelMaps([crop], min_area=21).transform(sample(bitmaps))
    assert dropped["gt_bboxes_labels"].tolist() == [1]
    empty = AlbuLabelMaps([crop], min_area=51).transform(sample(bitmaps))
    assert_consistent(empty)
    assert len(empty["gt_masks"]) == 0
    assert empty["gt_bboxes"].tensor.shape == (0, 4)


def test_overlapping_cells_keep_their_pixels() -> None:
    bitmaps = np.zeros((2, 8, 8), np.uint8)
    bitmaps[0, 1:5, 1:5] = 1
    bitmaps[1, 3:7, 3:7] = 1
    results = AlbuLabelMaps([{"type": "HorizontalFlip", "p": 1.0}]).transform(sample(bitmaps))
    np.testing.assert_array_equal(results["gt_masks"].to_ndarray(), bitmaps[:, :, ::-1])


def test_ids_above_65535_survive_a_warp() -> None:
    planes = np.zeros((1, 6, 6), np.int32)
    planes[0, 1, 2] = 70_001
    planes[0, 4, 4] = 70_002
    results = sample(np.zeros((2, 6, 6), np.uint8))
    results["gt_masks"] = LabelMapMasks(planes, [70_001, 70_002])
    flipped = AlbuLabelMaps([{"type": "VerticalFlip", "p": 1.0}]).transform(results)
    assert np.argwhere(flipped["gt_masks"].planes == 70_001).tolist() == [[0, 4, 2]]


def test_transforms_see_rgb() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200  # blue, in the pipeline's BGR
    results = AlbuLabelMaps([{"type": "ToGray", "method": "weighted_average", "p": 1.0}]).transform(
        {"img": image}
    )
    assert results["img"][0, 0].tolist() == [23, 23, 23]  # 0.114 × 200, the weight of blue


def test_random_numbers_follow_the_seed_of_numpy() -> None:
    transform = AlbuLabelMaps([{"type": "ElasticTransform", "alpha": 60, "sigma": 6, "p": 0.7}])
    runs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        runs.append([transform.transform(sample(cells()))["gt_masks"].planes for _ in range(3)])
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))
    assert not np.array_equal(runs[0][0], runs[0][1])


def test_transforms_are_drawn_independently() -> None:
    flips = [{"type": "HorizontalFlip", "p": 0.5}, {"type": "VerticalFlip", "p": 0.5}]
    transform = AlbuLabelMaps(flips)
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.random.seed(0)
    results = [transform.transform({"img": image})["img"][0, 0, 0] for _ in range(400)]
    counts = np.bincount(results, minlength=12)[[0, 3, 6, 9]]  # none, horizontal, vertical, both
    assert (np.abs(counts - 100) < 40).all()  # 4.6 standard deviations


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"type": "HorizontalFlop"}, r"no transform 'HorizontalFlop' \(did you mean 'Horiz"),
        ({"type": "ElasticTransform", "alfa": 1}, r"no argument 'alfa' \(did you mean 'alpha'"),
        ({"type": "Blur", "blur_limit": "wide"}, "Blur cannot be built"),
        ({"type": "Compose"}, "Compose cannot be built"),
        ({"type": "cv2"}, "no transform 'cv2'"),
        ({"p": 1.0}, "a dict with the key 'type'"),
        ({"type": "OneOf", "transforms": [{"type": "Flipp"}]}, "no transform 'Flipp'"),
        ({"type": "Affine", "mask_interpolation": 1}, "would spoil the instances"),
        ({"type": "PadIfNeeded", "border_mode": 4}, "border_mode=4"),
        ({"type": "Affine", "fill_mask": 7}, "fill_mask=7"),
        (
            {"type": "OneOf", "transforms": [{"type": "GridDistortion", "mask_interpolation": 2}]},
            "would spoil the instances",
        ),
    ],
)
def test_what_albumentations_only_warns_about_is_refused(
    transform: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        AlbuLabelMaps([transform])


def test_a_small_cell_is_dropped_and_an_ignored_one_is_not() -> None:
    bitmaps = np.zeros((3, 16, 16), np.uint8)
    bitmaps[0, 2:4, 2:4] = bitmaps[1, 8:10, 8:10] = 1
    bitmaps[2, 12:16, 2:6] = 1
    before = sample(bitmaps)
    before["gt_ignore_flags"] = np.array([False, True, False])
    after = AlbuLabelMaps([{"type": "HorizontalFlip", "p": 1.0}], min_area=5).transform(before)
    assert after["gt_bboxes_labels"].tolist() == [1, 2]
    assert after["gt_ignore_flags"].tolist() == [True, False]
    assert_consistent(after)
