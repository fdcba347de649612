"""The models that are installed with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm import CellSegmenter
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import ZOO, find_model

# Cells by class in the synthetic image below, of 60.
FOUND = {
    "he-consep": {"other": 0, "inflammatory": 36, "epithelial": 24, "spindle": 3},
    "he-monusac": {"epithelial": 15, "lymphocyte": 42, "neutrophil": 0, "macrophage": 0},
}

_LARGEST = 15_000_000  # bytes


def test_every_model_has_stored_numbers() -> None:
    assert {path.parent.name for path in ZOO.glob("*/model.json")} == FOUND.keys()


@pytest.mark.parametrize("name", FOUND)
def test_a_model_finds_what_it_found(name: str, repository: Path) -> None:
    bundle = find_model(name)
    assert bundle.weights.stat().st_size <= _LARGEST
    assert bundle.sha256 in (repository / "docs" / "models.md").read_text()
    rgb = synthesize_image(np.random.default_rng(0), 256, 256, 60).rgb
    table = CellSegmenter(bundle, device="cpu").segment(rgb, mpp=0.25).table
    counts = table["class"].value_counts()
    # Other processors round otherwise, which can move a cell over the least score.
    for category, expected in FOUND[name].items():
        assert counts.get(category, 0) == pytest.approx(expected, abs=1)
