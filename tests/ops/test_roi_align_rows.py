"""RoIAlign on rows, against torchvision's kernel."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align

from cellseg_mm.ops.roi_align_rows import FeatureRows

STRIDES = [4, 8, 16, 32]


@pytest.mark.parametrize("side", [7, 14])
def test_equals_torchvision_on_the_level_of_each_box(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    maps = [torch.randn(1, 5, 256 // s, 192 // s, generator=generator) for s in STRIDES]
    corner = torch.rand(300, 2, generator=generator) * torch.tensor([192.0, 256.0]) - 10
    extent = 2 ** (torch.rand(300, 2, generator=generator) * 11 - 1)  # 0.5 to 1,024 pixels
    extent[:10, 0] = 0
    boxes = torch.cat([corner, corner + extent], dim=1)

    pooled = FeatureRows(maps, STRIDES, finest_scale=56).pool(boxes, side)

    assert pooled.shape == (300, side * side, 5)
    # Equation 1 of Feature Pyramid Networks with k0 = 4 at 224 pixels, from level 2.
    level = (4 + torch.log2(extent.prod(dim=1).sqrt() / 224 + 1e-6)).floor().clamp(2, 5) - 2
    assert level.unique().tolist() == [0, 1, 2, 3]
    for number, (features, stride) in enumerate(zip(maps, STRIDES, strict=True)):
        chosen = level == number
        expected = roi_align(
            features, [boxes[chosen]], side, 1 / stride, sampling_ratio=-1, aligned=True
        )
        torch.testing.assert_close(pooled[chosen], expected.flatten(2).mT, atol=5e-5, rtol=1e-4)


def test_no_box_gives_nothing() -> None:
    rows = FeatureRows([torch.zeros(1, 3, 8, 8)], [4], 56)
    assert rows.pool(torch.zeros(0, 4), 7).shape == (0, 49, 3)
