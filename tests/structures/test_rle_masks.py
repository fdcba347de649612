"""RLE masks as a sequence, against pycocotools."""

from __future__ import annotations

import numpy as np
import torch
from pycocotools import mask as coco_mask

from cellseg_mm.structures.rle_masks import RLEMasks


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
