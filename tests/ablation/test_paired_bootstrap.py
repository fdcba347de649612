"""Paired differences: by hand, and against SciPy's bootstrap."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from cellseg_mm.ablation.paired_bootstrap import paired_difference


def test_no_and_one_pair():
    assert paired_difference([], []) is None
    assert paired_difference([0.25], [0.5]) == (0.25, None, None, 1)


def test_equal_differences_leave_no_doubt():
    # Binary fractions, so that sums are exact.
    assert paired_difference([0.25, 0.5, 0.75], [0.5, 0.75, 1.0]) == (0.25, 0.25, 0.25, 3)


def test_against_scipy():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.5, 0.05, 12), rng.normal(0.52, 0.05, 12)
    found = paired_difference(first, second)
    expected = bootstrap(
        (second - first,), np.mean, n_resamples=20_000, method="percentile", rng=rng
    ).confidence_interval

    assert found is not None
    assert found.mean == pytest.approx(np.mean(second) - np.mean(first))
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=2e-3)
