"""Copy-paste of cells of rare classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.datasets.transforms.rare_cell_paste import RareCellPaste
from cellseg_mm.structures.label_map_masks import LabelMapMasks

RED, BLUE = (40, 40, 200), (200, 60, 60)  # BGR


def sample(
    name: str, cells: list[tuple[int, int, int, int, int]], side: int = 96
) -> dict[str, Any]:
    """Noisy tissue with rectangular cells (label, top, left, height, width), red where label 1."""
    rng = np.random.default_rng(len(cells))
    image = rng.integers(120, 180, (side, side, 3)).astype(np.uint8)
    planes = np.zeros((1, side, side), np.int32)
    for i, (label, top, left, height, width) in enumerate(cells):
        window = np.s_[top : top + height, left : left + width]
        planes[0][window] = i + 1
        image[window] = RED if label == 1 else BLUE
    masks = LabelMapMasks(planes, np.arange(1, len(cells) + 1))
    labels = np.array([cell[0] for cell in cells], np.int64)
    return {
        "img": image,
        "img_path": name,
        "img_shape": (side, side),
        "labels": labels,
        "gt_masks": masks,
        "gt_bboxes": masks.get_bboxes(),
        "gt_bboxes_labels": labels,
        "gt_ignore_flags": np.zeros(len(cells), bool),
    }


def common_cells() -> list[tuple[int, int, int, int, int]]:
    return [(0, y, x, 8, 8) for y in range(2, 90, 12) for x in range(2, 50, 12)]


def donor() -> dict[str, Any]:
    """32 cells of class 0, and one of class 1, of 14×10 pixels: 3 %."""
    return sample("donor", [*common_cells(), (1, 40, 70, 14, 10)])


def pasted_into(paste: RareCellPaste, results: dict[str, Any]) -> tuple[dict[str, Any], int]:
    count = len(results["gt_masks"])
    results = paste.transform(results)
    return results, len(results["gt_masks"]) - count


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 20), max_cover=st.sampled_from([0.0, 0.15, 0.5]))
def test_cells_below_keep_their_share(seed: int, max_cover: float) -> None:
    np.random.seed(seed)
    paste = RareCellPaste(max_cells=12, max_cover=max_cover)
    paste.transform(donor())
    before = sample("other", common_cells())
    planes, image = before["gt_masks"].planes.copy(), before["img"].copy()
    old = before["gt_masks"]
    results, count = pasted_into(paste, before)
    np.testing.assert_array_equal(old.planes, planes)  # the input is left as it was

    masks = results["gt_masks"]
    assert len(np.unique(masks.ids)) == len(masks) == len(results["gt_bboxes"])
    assert results["gt_bboxes_labels"].tolist() == [0] * 32 + [1] * count
    assert results["gt_bboxes_labels"].dtype == np.int64
    assert results["gt_ignore_flags"].tolist() == [False] * (32 + count)
    bitmaps = masks.to_ndarray()
    assert (bitmaps.sum(axis=0) <= 1).all()  # what is covered is taken away
    areas = bitmaps.sum(axis=(1, 2))
    assert (areas[:32] >= (1 - max_cover) * 64).all()
    assert (areas[32:] >= (1 - max_cover) * 140).all()
    for bitmap, box in zip(bitmaps, results["gt_bboxes"].tensor.tolist(), strict=True):
        y, x = bitmap.nonzero()
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    # Only pasted cells and their soft edge have changed.
    near = np.zeros((104, 104), bool)
    for y, x in np.argwhere(bitmaps[32:].any(axis=0)):
        near[y : y + 9, x : x + 9] = True
    np.testing.assert_array_equal(results["img"][~near[4:-4, 4:-4]], image[~near[4:-4, 4:-4]])


def test_cells_are_pasted_turned_and_in_their_colour() -> None:
    np.random.seed(1)
    paste = RareCellPaste(max_cells=6, max_cover=0.0)
    paste.transform(donor())
    sizes, numbers = set(), set()
    for _ in range(40):
        results, count = pasted_into(paste, sample("empty", []))
        numbers.add(count)
        for bitmap, box in zip(results["gt_masks"], results["gt_bboxes"].tensor, strict=True):
            x1, y1, x2, y2 = (int(edge) for edge in box)
            sizes.add((y2 - y1, x2 - x1))
            inner = results["img"][y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].reshape(-1, 3)
            np.testing.assert_allclose(inner, np.broadcast_to(RED, inner.shape), rtol=0.03, atol=2)
            assert bitmap.sum() == 140
    assert sizes == {(14, 10), (10, 14)}
    assert numbers >= {0, 1, 2, 3, 4}


def test_common_classes_are_not_pasted() -> None:
    np.random.seed(0)
    paste = RareCellPaste(rare_below=0.1)
    cells = [*common_cells()[:8], (1, 40, 70, 14, 10)]  # 1 of 9: 11 %
    for _ in range(10):
        assert pasted_into(paste, sample("balanced", cells))[1] == 0


def test_an_image_counts_once_and_with_all_its_cells() -> None:
    np.random.seed(0)
    paste = RareCellPaste(rare_below=0.1)
    crop = sample("slide", [(0, 10, 10, 8, 8), (1, 40, 70, 14, 10)])
    crop["labels"] = np.array([0] * 30 + [1])  # of which the crop holds two cells
    counts = [pasted_into(paste, dict(crop))[1] for _ in range(20)]
    assert max(counts) > 0


def test_cut_and_ignored_cells_are_not_taken() -> None:
    np.random.seed(0)
    paste = RareCellPaste()
    cut = sample("cut", [*common_cells(), (1, 40, 86, 14, 10)])  # at the right edge
    ignored = donor()
    ignored["gt_ignore_flags"][-1] = True
    for _ in range(10):
        assert pasted_into(paste, dict(cut))[1] == pasted_into(paste, dict(ignored))[1] == 0


def test_a_cell_at_the_border_of_a_padded_image_is_not_taken() -> None:
    np.random.seed(0)
    paste = RareCellPaste()
    padded = sample("padded", [*common_cells(), (1, 40, 70, 14, 10)])
    padded["img"][:, 80:] = 116  # the image ends where the cell does
    for _ in range(10):
        assert pasted_into(paste, dict(padded))[1] == 0


def test_a_cell_is_not_pasted_into_the_image_that_it_comes_from_at_once() -> None:
    np.random.seed(0)
    for _ in range(10):
        assert pasted_into(RareCellPaste(), donor())[1] == 0


@pytest.mark.parametrize("level", [116, 240], ids=["padding", "glass"])
def test_glass_and_padding_stay_empty(level: int) -> None:
    np.random.seed(0)
    paste = RareCellPaste()
    paste.transform(donor())
    blank = sample("blank", [])
    noise = np.random.default_rng(0).integers(-5, 6, blank["img"].shape)
    blank["img"] = (level + (noise if level == 240 else 0 * noise)).astype(np.uint8)
    for _ in range(10):
        assert pasted_into(paste, dict(blank))[1] == 0


def test_an_image_smaller_than_the_cell() -> None:
    np.random.seed(0)
    paste = RareCellPaste()
    paste.transform(donor())
    for _ in range(5):
        results, count = pasted_into(paste, sample("tiny", [(0, 0, 0, 3, 3)], side=12))
        assert count == 0
        assert results["img"].shape == (12, 12, 3)


def test_random_numbers_follow_the_seed_of_numpy() -> None:
    runs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        paste = RareCellPaste()
        paste.transform(donor())
        runs.append(np.stack([paste.transform(sample("empty", []))["img"] for _ in range(4)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_the_bank_is_bounded() -> None:
    np.random.seed(0)
    paste = RareCellPaste(bank_size=3)
    for _ in range(10):
        paste.transform(donor())
    assert [len(cells) for cells in paste._bank.values()] == [3]


@pytest.mark.parametrize(
    "arguments", [{"max_cells": 0}, {"rare_below": 1.5}, {"max_cover": 0.6}, {"bank_size": 0}]
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}="):
        RareCellPaste(**arguments)
