"""Reliability of scores, worked out by hand."""

import numpy as np
import pytest

from cellseg_mm.analysis.errors.average_precision import Ranking
from cellseg_mm.analysis.errors.reliability import reliability


def test_shares_of_right_predictions_by_score():
    scores, hits = [0.55, 1.0, 0.95, 0.52, 0.91], [False, True, False, True, True]
    found = reliability(Ranking(scores, hits, 10))
    assert found.predictions == (2, 3)
    assert found.scores == pytest.approx((0.535, 0.95333), abs=1e-4)
    assert found.shares == pytest.approx((1 / 2, 2 / 3))
    # (2 · |0.535 - 0.5| + 3 · |0.95333 - 0.66667|) / 5
    assert found.error == pytest.approx((2 * 0.035 + 3 * 0.286667) / 5, abs=1e-5)


def test_without_predictions():
    found = reliability(Ranking())
    assert found.predictions == ()
    assert np.isnan(found.error)
