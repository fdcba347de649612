"""Pixels of RLE masks against pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from cellseg_mm.structures.rle_pixels import rle_pixels


def encode(bitmap: npt.NDArray[np.bool_]) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(bitmap, np.uint8))
    return {"size": list(bitmap.shape), "counts": rle["counts"].decode()}


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 7))),
)
def test_equals_pycocotools(bitmaps: npt.NDArray[np.bool_]) -> None:
    rles = [encode(bitmap) for bitmap in bitmaps]
    _, height, width = bitmaps.shape
    masks = rle_pixels(rles, height, width)
    assert len(masks) == len(bitmaps)
    for i, bitmap in enumerate(bitmaps):
        pixels = masks.pixels[masks.offsets[i] : masks.offsets[i + 1]]
        np.testing.assert_array_equal(pixels, np.flatnonzero(bitmap.T))
        assert (masks.owners[masks.offsets[i] : masks.offsets[i + 1]] == i).all()
        rows, columns = np.nonzero(bitmap)
        if rows.size:
            np.testing.assert_allclose(masks.centroids[i], [columns.mean(), rows.mean()])
            np.testing.assert_array_equal(masks.boxes[i], coco_mask.toBbox(rles[i]))
        else:
            assert np.isnan(masks.centroids[i]).all()
            assert not masks.boxes[i].any()
    if rles:
        np.testing.assert_array_equal(masks.areas, coco_mask.area(rles))
        np.testing.assert_array_equal(masks.first(1).pixels, np.flatnonzero(bitmaps[0].T))


def test_bad_masks_are_named() -> None:
    good = encode(np.eye(4, dtype=bool))
    with pytest.raises(ValueError, match=r"Mask 1 has the size \[4, 5\]"):
        rle_pixels([good, good | {"size": [4, 5]}], 4, 4)
    with pytest.raises(ValueError, match=r"Mask 1 is malformed: .* alphabet"):
        rle_pixels([good, good | {"counts": "\x7f"}], 4, 4)
    with pytest.raises(ValueError, match="counts of mask 0 are a list"):
        rle_pixels([good | {"counts": [3, 13]}], 4, 4)
    with pytest.raises(ValueError, match="mask 1 cover 25 pixels"):
        rle_pixels([good, encode(np.eye(5, dtype=bool)) | {"size": [4, 4]}], 4, 4)
