"""RoIAlign on planes, against mmcv's RoIAlign on bitmaps."""

from __future__ import annotations

from unittest import mock

import mmcv.ops
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.ops import roi_align_planes as module
from cellseg_mm.ops.roi_align_planes import roi_align_planes


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    num_planes=st.integers(1, 3),
    num_ids=st.integers(1, 9),
    num_boxes=st.integers(0, 20),
    out=st.sampled_from([(1, 1), (3, 5), (28, 28)]),
    dtype=st.sampled_from([torch.int32, torch.int64]),
    chunk=st.sampled_from([1, 2000, 50_000, module._CHUNK]),
    seed=st.integers(0, 1 << 16),
)
def test_equals_roi_align_of_bitmaps(
    height: int,
    width: int,
    num_planes: int,
    num_ids: int,
    num_boxes: int,
    out: tuple[int, int],
    dtype: torch.dtype,
    chunk: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    larger = rng.integers(0, num_ids + 1, (num_planes, height + 3, width + 2))
    planes = torch.as_tensor(larger).to(dtype)[:, 2:-1, 1:-1]  # a view
    ids = torch.as_tensor(rng.integers(1, num_ids + 1, num_boxes))
    corner = rng.uniform(-5, [width, height], (num_boxes, 2))
    extent = rng.uniform(0, 1.2 * max(height, width), (num_boxes, 2))
    extent[rng.random(num_boxes) < 0.1] = 0.0
    extent[rng.random(num_boxes) < 0.1] *= -1
    boxes = torch.as_tensor(np.hstack([corner, corner + extent]), dtype=torch.float32)

    bitmaps = (planes[None] == ids[:, None, None, None]).any(dim=1).float()
    rois = torch.cat([torch.arange(num_boxes)[:, None].float(), boxes], dim=1)
    expected = mmcv.ops.roi_align(bitmaps[:, None], rois, out, 1.0, 0, "avg", True)[:, 0]
    with mock.patch.object(module, "_CHUNK", chunk):
        assert torch.equal(roi_align_planes(planes, ids, boxes, out), expected)


def test_a_box_without_numbers_is_empty() -> None:
    planes, ids = torch.ones((1, 8, 8), dtype=torch.int32), torch.ones(4, dtype=torch.int64)
    boxes = torch.tensor([[2.0, 2, 5, 6]]).repeat(4, 1)
    boxes[1, 0], boxes[2, 2], boxes[3] = torch.nan, torch.inf, torch.nan
    shares = roi_align_planes(planes, ids, boxes, (3, 5))
    assert shares[0].all()
    assert not shares[1:].any()
