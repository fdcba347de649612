"""What RoI heads are given in tests: maps of two images, and boxes in them."""

from __future__ import annotations

import torch

HEIGHT, WIDTH, CHANNELS = 64, 96, 8


def boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([WIDTH - 20.0, HEIGHT - 20.0])
    return torch.cat([corner, corner + 4 + torch.rand(count, 2, generator=generator) * 16], 1)
