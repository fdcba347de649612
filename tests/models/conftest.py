"""Inputs that tests of several RoI heads share."""

from __future__ import annotations

import pytest
import torch

from tests.models.roi_inputs import CHANNELS, HEIGHT, WIDTH


@pytest.fixture
def features() -> tuple[torch.Tensor, ...]:
    """Two images' maps of five levels."""
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(2, CHANNELS, -(-HEIGHT // s), -(-WIDTH // s), generator=generator) * 3
        for s in (4, 8, 16, 32, 64)
    )
