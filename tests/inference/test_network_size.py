"""A model's description cannot take more memory than its weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cellseg_mm.errors import UserError
from cellseg_mm.inference.network_size import no_larger_than_weights
from cellseg_mm.runs.model_bundle import find_model


@pytest.fixture
def bundle(tmp_path):
    save_file({"weight": torch.zeros(1000, 1000)}, tmp_path / "model.safetensors")
    return replace(find_model("he-consep"), weights=tmp_path / "model.safetensors")


def test_a_network_of_the_size_of_its_weights_is_built(bundle):
    with no_larger_than_weights(bundle):
        assert nn.Linear(1000, 1000).weight.numel() == 1_000_000


def test_large_layers_and_many_layers_are_refused(bundle):
    with pytest.raises(UserError, match="larger than its weights"), no_larger_than_weights(bundle):
        nn.Linear(2001, 1000)
    with pytest.raises(UserError, match="larger than its weights"), no_larger_than_weights(bundle):
        nn.Sequential(*(nn.PReLU(1) for _ in range(101)))
    nn.Linear(2001, 1000)  # nothing is counted afterwards
