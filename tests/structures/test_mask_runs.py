"""Runs of RLE masks, against bitmaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

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
    runs = MaskRuns.from_rle(encode(bitmaps))
    flat = bitmaps.reshape(count, -1).astype(np.int64)
    assert runs.areas.tolist() == flat.sum(1).tolist()
    for box, bitmap in zip(runs.boxes.tolist(), bitmaps, strict=True):
        y, x = np.nonzero(bitmap)
        assert box == ([x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0] * 4)
    filled = np.flatnonzero(runs.areas)
    for mask in filled:
        expected = (flat[filled] * flat[mask]).sum(1)
        assert runs.intersections(mask, filled).tolist() == expected.tolist()

    rng = np.random.default_rng(seed)
    groups = np.append(rng.permutation(count)[: count // 2] % 3, np.full(count - count // 2, -1))
    groups = np.unique(groups, return_inverse=True)[1] - 1  # 0 … G - 1, each with a member
    fused = runs.vote(groups, threshold).to_ndarray()
    assert len(fused) == groups.max() + 1
    for group, bitmap in enumerate(fused):
        assert np.array_equal(bitmap, bitmaps[groups == group].mean(0) >= threshold)


def test_no_masks() -> None:
    runs = MaskRuns.from_rle(RLEMasks([], 5, 6))
    assert runs.boxes.shape == (0, 4)
    fused = runs.vote(np.zeros(0, np.int64), 0.5)
    assert (len(fused), fused.height, fused.width) == (0, 5, 6)
