"""RoIAlign on planes, against mmcv's RoIAlign on bitmaps."""

from __future__ import annotations

import mmcv.ops
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.ops.roi_align_planes import roi_align_planes


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    num_planes=st.integers(1, 3),
    num_ids=st.integers(1, 9),
    num_boxes=st.integers(0, 20),
    out=st.sampled_from([(1, 1), (3, 5), (28, 28)]),
    seed=st.integers(0, 1 << 16),
)
def test_equals_roi_align_of_bitmaps(
    height: int,
    width: int,
    num_planes: int,
    num_ids: int,
    num_boxes: int,
    out: tuple[int, int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    planes = torch.as_tensor(rng.integers(0, num_ids + 1, (num_planes, height, width)))
    ids = torch.as_tensor(rng.integers(1, num_ids + 1, num_boxes))
    corner = rng.uniform(-5, [width, height], (num_boxes, 2))
    extent = rng.uniform(0, 1.2 * max(height, width), (num_boxes, 2))
    extent[rng.random(num_boxes) < 0.1] = 0.0
    boxes = torch.as_tensor(np.hstack([corner, corner + extent]), dtype=torch.float32)

    bitmaps = (planes[None] == ids[:, None, None, None]).any(dim=1).float()
    rois = torch.cat([torch.arange(num_boxes)[:, None].float(), boxes], dim=1)
    expected = mmcv.ops.roi_align(bitmaps[:, None], rois, out, 1.0, 0, "avg", True)[:, 0]
    assert torch.equal(roi_align_planes(planes, ids, boxes, out), expected)
