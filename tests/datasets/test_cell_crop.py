"""Training crops that keep whole cells and rare classes in view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.transforms import PackDetInputs
from mmdet.models.task_modules import MaxIoUAssigner
from mmengine.structures import InstanceData

from cellseg_mm.datasets.transforms.cell_crop import CellCrop
from cellseg_mm.structures.label_map_masks import LabelMapMasks


def sample(planes: np.ndarray, labels: list[int] | None = None) -> dict[str, Any]:
    """A sample whose image holds the row in the first and the column in the second channel."""
    height, width = planes.shape[1:]
    ids = np.unique(planes[planes > 0])
    masks = LabelMapMasks(planes, ids)
    rows, columns = np.mgrid[:height, :width]
    return {
        "img": np.stack([rows % 256, columns % 256, 0 * rows + 7], axis=-1).astype(np.uint8),
        "img_shape": (height, width),
        "gt_masks": masks,
        "gt_bboxes": masks.get_bboxes(),
        "gt_bboxes_labels": np.zeros(len(ids), np.int64) if labels is None else np.array(labels),
        "gt_ignore_flags": np.zeros(len(ids), bool),
    }


def random_planes(height: int, width: int, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    planes = np.zeros((2, height, width), np.int32)
    for i in range(count):
        y, x = rng.integers(height), rng.integers(width)
        planes[i % 2, y : y + rng.integers(1, 12), x : x + rng.integers(1, 12)] = i + 1
    return planes


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    count=st.integers(0, 12),
    seed=st.integers(0, 1 << 20),
)
def test_any_result_is_consistent(
    height: int, width: int, size: tuple[int, int], count: int, seed: int
) -> None:
    np.random.seed(seed)
    before = sample(random_planes(height, width, count, seed))
    results = CellCrop(size, (0.5, 2.0)).transform(before)
    masks = results["gt_masks"]
    assert results["img"].shape == (*size, 3)
    assert results["img"].flags.c_contiguous
    assert results["img_shape"] == (masks.height, masks.width) == size
    assert len(masks) == len(results["gt_bboxes_labels"]) == len(results["gt_ignore_flags"])
    assert results["gt_bboxes"].tensor.shape == (len(masks), 4)
    for bitmap, box in zip(masks.to_ndarray(), results["gt_bboxes"].tensor.tolist(), strict=True):
        y, x = bitmap.nonzero()
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 20))
def test_the_drawn_cell_is_whole(seed: int) -> None:
    planes = np.zeros((1, 90, 120), np.int32)
    y, x = np.random.default_rng(seed).integers((90 - 9, 120 - 7))
    planes[0, y : y + 9, x : x + 7] = 5
    np.random.seed(seed)
    results = CellCrop(32, (1.0, 1.0), rare_prob=1.0).transform(sample(planes))
    assert results["gt_masks"].areas.tolist() == [63]
    assert not results["gt_ignore_flags"].any()


def test_windows_hold_what_the_image_holds() -> None:
    planes = random_planes(60, 80, 10, seed=1)
    np.random.seed(0)
    for _ in range(20):
        results = CellCrop((24, 30), (1.0, 1.0)).transform(sample(planes))
        rows, columns = results["img"][..., 0].astype(int), results["img"][..., 1].astype(int)
        np.testing.assert_array_equal(results["gt_masks"].planes, planes[:, rows, columns])


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_image_and_planes_stay_aligned(scale: float) -> None:
    planes = np.zeros((1, 64, 64), np.int32)
    planes[0, 20:40, 12:44] = 1
    before = sample(planes)
    before["img"] = np.repeat(planes[0, ..., None] * 200, 3, axis=2).astype(np.uint8)
    np.random.seed(1)
    results = CellCrop(int(64 * scale), (scale, scale)).transform(before)
    bright = results["img"][..., 0] > 100
    np.testing.assert_array_equal(results["gt_masks"].planes[0] > 0, bright)
    expected = [12 * scale, 20 * scale, 44 * scale, 40 * scale]
    assert results["gt_bboxes"].tensor.tolist() == [expected]


def test_rare_classes_come_into_view() -> None:
    planes = np.zeros((1, 400, 400), np.int32)
    planes[0, 10:16, 10:16] = 1  # the only cell of class 3
    labels = [3]
    for i in range(2, 300):
        y, x = divmod(i - 2, 20)
        planes[0, 60 + 20 * y : 66 + 20 * y, 20 * x : 20 * x + 6] = i
        labels.append(0)
    np.random.seed(0)
    seen = {}
    for rare_prob in (0.0, 1.0):
        crop = CellCrop(40, (1.0, 1.0), rare_prob)
        crops = [crop.transform(sample(planes, labels)) for _ in range(100)]
        seen[rare_prob] = sum(3 in results["gt_bboxes_labels"] for results in crops)
    assert seen[0.0] < 10  # about 1 window in 130
    assert 30 < seen[1.0] < 70  # every second: two classes


def test_a_cell_hardly_visible_is_ignored_not_background() -> None:
    planes = np.zeros((1, 40, 20), np.int32)
    planes[0, 8:18, 2:12] = 1  # rows 8 and 9 of 10 are in view: 20 %
    planes[0, 6:16, 13:18] = 2  # rows 6 to 9: 40 %
    planes[0, 0:2, 0:3] = 3  # whole, but of 6 pixels
    crop = CellCrop((10, 20), (1.0, 1.0), min_visible=0.3, min_area=8)
    np.random.seed(0)
    while True:
        results = crop.transform(sample(planes, [0, 1, 2]))
        if results["img"][0, 0, 0] == 0:  # the window at the top
            break
    assert results["gt_bboxes"].tensor.tolist() == [[2, 8, 12, 10], [13, 6, 18, 10], [0, 0, 3, 2]]
    assert results["gt_ignore_flags"].tolist() == [True, False, True]

    data_sample = PackDetInputs(meta_keys=()).transform(results)["data_samples"]
    ignored = data_sample.ignored_instances
    assert data_sample.gt_instances.masks.areas.tolist() == [20]
    assert ignored.masks.areas.tolist() == [20, 6]
    assert ignored.labels.tolist() == [0, 2]
    priors = torch.tensor([[2, 8, 12, 10], [13, 6, 18, 10], [6, 0, 12, 6]], dtype=torch.float32)
    assigned = MaxIoUAssigner(0.5, 0.5, ignore_iof_thr=0.5).assign(
        InstanceData(priors=priors), data_sample.gt_instances, ignored
    )
    assert assigned.gt_inds.tolist() == [-1, 1, 0]  # left out, the cell, background


def test_cells_ignored_before_stay_ignored() -> None:
    planes = np.zeros((1, 20, 20), np.int32)
    planes[0, 4:12, 4:12] = 1
    before = sample(planes)
    before["gt_ignore_flags"][:] = True
    results = CellCrop(20, (1.0, 1.0), rare_prob=1.0).transform(before)
    assert results["gt_ignore_flags"].tolist() == [True]


def test_small_images_lie_anywhere_on_the_canvas() -> None:
    planes = np.ones((1, 33, 86), np.int32)
    np.random.seed(0)
    crop = CellCrop(128, (1.0, 1.0), fill=(1, 2, 3))
    starts = set()
    for _ in range(30):
        results = crop.transform(sample(planes))
        x1, y1, x2, y2 = (int(edge) for edge in results["gt_bboxes"].tensor[0])
        assert (x2 - x1, y2 - y1) == (86, 33)
        outside = results["gt_masks"].planes[0] == 0
        assert (results["img"][outside] == (1, 2, 3)).all()
        assert (results["img"][~outside] == sample(planes)["img"].reshape(-1, 3)).all()
        starts.add((x1, y1))
    assert len(starts) > 20


def test_a_cell_larger_than_the_window_fills_it() -> None:
    planes = np.zeros((1, 100, 100), np.int32)
    planes[0, 10:90, 10:90] = 1
    np.random.seed(0)
    results = CellCrop(20, (1.0, 1.0), rare_prob=1.0, min_visible=0.0).transform(sample(planes))
    assert results["gt_bboxes"].tensor.tolist() == [[0, 0, 20, 20]]


def test_ids_above_65535_survive() -> None:
    planes = np.zeros((1, 30, 30), np.int32)
    planes[0, 10:20, 10:20] = 70_001
    results = CellCrop(60, (2.0, 2.0)).transform(sample(planes))
    assert np.unique(results["gt_masks"].planes).tolist() == [0, 70_001]


def test_random_numbers_follow_the_seed_of_numpy() -> None:
    planes = random_planes(90, 90, 10, seed=0)
    crop = CellCrop(32)
    runs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        runs.append([crop.transform(sample(planes))["img"] for _ in range(3)])
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (0, 4)}, "size="),
        ({"size": 8, "scale_range": (2.0, 1.0)}, "scale_range="),
        ({"size": 8, "scale_range": (0.0, 1.0)}, "scale_range="),
        ({"size": 8, "rare_prob": 1.1}, "rare_prob=1.1"),
        ({"size": 8, "min_visible": -0.1}, "min_visible=-0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CellCrop(**arguments)
