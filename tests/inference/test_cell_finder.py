"""The cells of regions, by the fast path and by the stock detector."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

import cellseg_mm.models.deployed.cell_detector as cell_detector
from cellseg_mm.errors import UserError
from cellseg_mm.inference import cell_finder
from cellseg_mm.inference.cell_finder import CellFinder
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import ModelBundle


@pytest.fixture(scope="module")
def region() -> torch.Tensor:
    rgb = synthesize_image(np.random.default_rng(0), 100, 120, 20).rgb
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def test_both_paths_find_the_same_cells(
    bundle: ModelBundle, region: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_detector, "_multiplies_bfloat16", lambda: False)
    fast = CellFinder(bundle, "cpu")
    (found,) = fast([region])
    monkeypatch.setattr(cell_finder, "can_deploy", lambda model: False)
    (expected,) = CellFinder(bundle, "cpu")([region])
    assert len(expected) > 10
    assert len({cell.label for cell in found}) > 1
    assert [cell.label for cell in found] == [cell.label for cell in expected]
    for ours, stock in zip(found, expected, strict=True):
        assert ours.score == pytest.approx(stock.score, abs=1e-4)
        assert ours.box == pytest.approx(stock.box, abs=0.05)
        assert ours.probabilities[ours.label] == pytest.approx(ours.score)
        assert len(ours.probabilities) == 4
        assert stock.probabilities == ()
    same = [
        ours.extent == stock.extent and np.array_equal(ours.bitmap, stock.bitmap)
        for ours, stock in zip(found, expected, strict=True)
    ]
    assert np.mean(same) > 0.9


def test_least_scores_are_the_classes_own_or_one_for_all(
    bundle: ModelBundle, region: torch.Tensor
) -> None:
    finder = CellFinder(bundle, "cpu")
    least = [0.5, 0.5, 0.6, 0.5]
    (found,) = finder([region])
    assert all(cell.score >= least[cell.label] for cell in found)
    (strict,) = finder([region], 0.9)
    assert 0 < len(strict) < len(found)
    assert min(cell.score for cell in strict) >= 0.9
    assert finder([region], 1.0) == [[]]


def test_a_batch_gives_what_single_regions_give(
    bundle: ModelBundle, region: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # bfloat16 rounds a batch's sums in another order, and visibly.
    monkeypatch.setattr(cell_detector, "_multiplies_bfloat16", lambda: False)
    finder = CellFinder(bundle, "cpu")
    regions = [region, region.flip(2), region[:, :64, :64]]
    together = finder(regions)
    for found, one in zip(together, regions, strict=True):
        (alone,) = finder([one])
        assert len(found) == len(alone) > 0
        assert [cell.label for cell in found] == [cell.label for cell in alone]
        assert [c.score for c in found] == pytest.approx([c.score for c in alone], abs=1e-4)
        assert all(c.extent[0] >= 0 and c.extent[2] <= one.shape[2] for c in found)


def test_a_region_has_no_more_cells_than_the_cap(bundle: ModelBundle, region: torch.Tensor) -> None:
    model = copy.deepcopy(bundle.model)
    model.test_cfg.rcnn.max_per_img = 2
    finder = CellFinder(dataclasses.replace(bundle, model=model), "cpu")
    assert [len(found) for found in finder([region, region], 0.5)] == [2, 2]
    assert finder.max_per_region == 2


def test_views_find_cells_too(bundle: ModelBundle, region: torch.Tensor) -> None:
    finder = CellFinder(bundle, "cpu", views="flips")
    (found,) = finder([region[:, :64, :64]], 0.2)
    assert found
    assert all(cell.score >= 0.2 and cell.probabilities == () for cell in found)
    with pytest.raises(UserError, match="no views 'some'"):
        CellFinder(bundle, "cpu", views="some")


def test_what_does_not_fit_is_one_sentence(bundle: ModelBundle, repository: Path) -> None:
    with pytest.raises(UserError, match="no device 'gpu' here"):
        CellFinder(bundle, "gpu")
    other = Config.fromfile(repository / "configs/mask-rcnn_convnext-atto_fpn_cell.py").model
    other.backbone.init_cfg = None
    with pytest.raises(UserError, match="do not fit its network"):
        CellFinder(dataclasses.replace(bundle, model=other), "cpu")
    broken = copy.deepcopy(bundle.model)
    broken.neck = {"type": "FPN"}
    with pytest.raises(UserError, match="random cannot be built"):
        CellFinder(dataclasses.replace(bundle, model=broken), "cpu")


@pytest.mark.parametrize("fast", [True, False])
def test_near_a_border_half_the_least_score_is_enough(
    bundle: ModelBundle, region: torch.Tensor, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(cell_finder, "can_deploy", lambda model: False)
    finder = CellFinder(bundle, "cpu")
    reserve = []
    for least in (0.3, 0.5, 0.9):
        (strict,) = finder([region], least)
        (found,) = finder([region], least, margin=120)  # all of it is near
        sure = [cell for cell in found if cell.score >= least]
        assert [(c.label, c.extent) for c in sure] == [(c.label, c.extent) for c in strict]
        reserve += [cell.score / least for cell in found if cell.score < least]
    assert reserve
    assert min(reserve) >= 0.5


def test_what_is_near_a_border() -> None:
    boxes = torch.tensor([[10, 10, 110, 90], [9, 20, 30, 30], [50, 50, 111, 60], [20, 40, 30, 91]])
    assert cell_detector.near_border(boxes, (100, 120), 10).tolist() == [False, True, True, True]
    assert not cell_detector.near_border(boxes, (100, 120), 0).any()
