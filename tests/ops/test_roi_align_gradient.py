"""The gradient of RoIAlign as a sparse product, against torchvision's kernel."""

from __future__ import annotations

import pytest
import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.ops import roi_align_gradient as module
from cellseg_mm.ops.roi_align_gradient import roi_align_gradient


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 30),
    longest=st.sampled_from([2.0, 40.0, 200.0]),
    ratio=st.sampled_from([0, 1, 2]),
    chunk=st.sampled_from([1, 1 << 22]),
    seed=st.integers(0, 1 << 16),
)
def test_gradient_equals_torchvisions(
    count: int, longest: float, ratio: int, chunk: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Boxes inside, over the border and outside of features of 40 by 56 input pixels; some empty.
    centres = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 100 - 30
    sides = (torch.rand(count, 2, generator=generator, dtype=torch.float64) * longest - 1).clamp(0)
    images = torch.randint(0, 2, (count, 1), generator=generator)
    rois = torch.cat([images, centres - sides / 2, centres + sides / 2], dim=1)
    gradient = torch.randn(count, 3, 4, 5, generator=generator, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        result = roi_align_gradient(gradient, rois, (2, 3, 10, 14), 0.25, ratio)
    expected = torch.ops.torchvision._roi_align_backward(
        gradient, rois, 0.25, 4, 5, 2, 3, 10, 14, ratio, True
    )
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    assert result.is_contiguous()
