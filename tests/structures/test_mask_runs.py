"""Runs of RLE masks, against bitmaps."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from cellseg_mm.structures import mask_runs
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.rle_masks import RLEMasks


def random_bitmaps(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """Rectangles, noise, whole columns that run into each other, and empty masks."""
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, height, width), np.uint8)
    for bitmap in bitmaps:
        y, x = rng.integers(0, [height, width])
        match rng.integers(4):
            case 0:
                bitmap[y:, x : x + 3] = 1
            case 1:
                bitmap[:] = rng.random(bitmap.shape) < 0.3
            case 2:
                bitmap[:, x : x + 2] = 1
    return bitmaps


def encode(bitmaps: np.ndarray) -> RLEMasks:
    rles = coco_mask.encode(np.asfortranarray(bitmaps.transpose(1, 2, 0)))
    return RLEMasks([rle["counts"].decode() for rle in rles], *bitmaps.shape[1:])


def shuffled(runs: MaskRuns) -> MaskRuns:
    """The same masks from runs in pixel order, not mask by mask."""
    order = np.argsort(runs.starts, kind="stable")
    shape = len(runs), runs.height, runs.width
    return MaskRuns.gather(runs.owners[order], runs.starts[order], runs.ends[order], shape)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1 << 16),
    count=st.integers(1, 8),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    threshold=st.sampled_from([0.25, 0.5, 1.0]),
)
def test_equal_to_bitmaps(seed: int, count: int, height: int, width: int, threshold: float) -> None:
    bitmaps = random_bitmaps(seed, count, height, width)
    masks = encode(bitmaps)
    runs = masks.runs
    assert runs.encode() == masks.counts
    assert runs.first(1).encode() == masks.counts[:1]
    flat = bitmaps.reshape(count, -1).astype(np.int64)
    assert runs.areas.tolist() == flat.sum(1).tolist()
    for box, bitmap in zip(runs.boxes.tolist(), bitmaps, strict=True):
        y, x = np.nonzero(bitmap)
        assert box == ([x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0] * 4)
    others = random_bitmaps(seed + 1, 3, height, width)
    shared = runs.shared_pixels(encode(others).runs)
    assert shared.toarray().tolist() == (flat @ others.reshape(3, -1).T).tolist()
    assert (shared.data > 0).all()
    with mock.patch.object(mask_runs, "_PAIRS_AT_ONCE", 3):
        by_parts = runs.shared_pixels(encode(others).runs)
    assert by_parts.toarray().tolist() == shared.toarray().tolist()
    assert shuffled(runs).encode() == masks.counts

    rng = np.random.default_rng(seed)
    groups = np.append(rng.permutation(count)[: count // 2] % 3, np.full(count - count // 2, -1))
    groups = np.unique(groups, return_inverse=True)[1] - 1  # 0 … G - 1, each with a member
    fused = RLEMasks.from_runs(runs.vote(groups, threshold)).to_ndarray()
    assert len(fused) == groups.max() + 1
    for group, bitmap in enumerate(fused):
        members = bitmaps[groups == group]
        share = members.mean(0)
        expected = (share > threshold) | ((share == threshold) & (members[0] == 1))
        assert np.array_equal(bitmap, expected)


@pytest.mark.parametrize("seed", range(5))
def test_planes_are_read_as_their_bitmaps(seed: int) -> None:
    """Ids that run over column ends and, at the foot of a plane, into the same id of the next."""
    rng = np.random.default_rng(seed)
    planes = np.repeat(rng.integers(0, 4, (2, 6, 3)), 2, axis=2)
    planes[1] = np.where(planes[1] > 0, planes[1] + 3, 0)
    bitmaps = np.stack([(planes == number).any(axis=0) for number in range(1, 8)])
    runs = MaskRuns.from_planes(planes, 7)  # without a pixel of id 7
    assert runs.encode() == encode(bitmaps.astype(np.uint8)).counts
    whole = MaskRuns.from_planes(np.array([[[1, 1], [1, 1]], [[2, 2], [2, 2]]]), 2)
    assert whole.encode() == ["04", "04"]
    assert MaskRuns.from_planes(np.zeros((1, 2, 2), int), 1).encode() == ["4"]


def test_no_masks() -> None:
    runs = RLEMasks([], 5, 6).runs
    assert runs.boxes.shape == (0, 4)
    assert list(runs.crops()) == []
    assert runs.shared_pixels(runs).shape == (0, 0)
    fused = RLEMasks.from_runs(runs.vote(np.zeros(0, np.int64), 0.5))
    assert (len(fused), fused.height, fused.width) == (0, 5, 6)


def coco_rle(bitmap: npt.NDArray[np.bool_]) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(bitmap, np.uint8))
    return {"size": list(bitmap.shape), "counts": rle["counts"].decode()}


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 7))),
)
def test_equals_pycocotools(bitmaps: npt.NDArray[np.bool_]) -> None:
    rles = [coco_rle(bitmap) for bitmap in bitmaps]
    _, height, width = bitmaps.shape
    masks = MaskRuns.from_rles(rles, height, width)
    assert len(masks) == len(bitmaps)
    crops = list(masks.crops())
    for i, (pixels, bitmap) in enumerate(zip(masks.split_pixels(), bitmaps, strict=True)):
        np.testing.assert_array_equal(pixels, np.flatnonzero(bitmap.T))
        rows, columns = np.nonzero(bitmap)
        if rows.size:
            np.testing.assert_allclose(masks.centroids[i], [columns.mean(), rows.mean()])
            x, y, w, h = coco_mask.toBbox(rles[i]).astype(int).tolist()
            assert masks.boxes[i].tolist() == [x, y, x + w, y + h]
            assert crops[i][:3] == (i + 1, y, x)
            np.testing.assert_array_equal(crops[i].bitmap, bitmap[y : y + h, x : x + w])
        else:
            assert np.isnan(masks.centroids[i]).all()
            assert not masks.boxes[i].any()
            assert crops[i].bitmap.size == 0
    if rles:
        np.testing.assert_array_equal(masks.areas, coco_mask.area(rles))
        np.testing.assert_array_equal(masks.first(1).pixels, np.flatnonzero(bitmaps[0].T))


def test_bad_masks_are_named() -> None:
    good = coco_rle(np.eye(4, dtype=bool))
    with pytest.raises(ValueError, match=r"Mask 1 has the size \[4, 5\]"):
        MaskRuns.from_rles([good, good | {"size": [4, 5]}], 4, 4)
    with pytest.raises(ValueError, match=r"Mask 1 is malformed: .* alphabet"):
        MaskRuns.from_rles([good, good | {"counts": "\x7f"}], 4, 4)
    with pytest.raises(ValueError, match="counts of mask 0 are a list"):
        MaskRuns.from_rles([good | {"counts": [3, 13]}], 4, 4)
    with pytest.raises(ValueError, match="mask 1 cover 25 pixels"):
        MaskRuns.from_rles([good, coco_rle(np.eye(5, dtype=bool)) | {"size": [4, 4]}], 4, 4)


def test_masks_by_number() -> None:
    bitmaps = random_bitmaps(3, 6, 9, 7)
    bitmaps[2] = 0
    rles = encode(bitmaps)
    runs = MaskRuns.from_counts(rles.counts, 9, 7)
    chosen = np.array([4, 2, 0, 4])
    taken = runs.take(chosen)
    assert taken.encode() == [rles.counts[n] for n in chosen]
    assert taken.areas.tolist() == [int(bitmaps[n].sum()) for n in chosen]
    assert len(runs.take(np.zeros(0, np.int64))) == 0
