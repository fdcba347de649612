"""Paired differences, by hand."""

import numpy as np
import pytest

from cellseg_mm.ablation.paired_bootstrap import paired_difference

NAN = float("nan")


def test_no_and_one_pair():
    assert paired_difference([]) == pytest.approx((NAN, NAN, NAN, 0), nan_ok=True)
    assert paired_difference([0.25]) == pytest.approx((0.25, NAN, NAN, 1), nan_ok=True)


def test_equal_differences_leave_no_doubt():
    # A binary fraction, so that sums are exact.
    assert paired_difference([0.25, 0.25, 0.25]) == (0.25, 0.25, 0.25, 3)


def test_three_pairs():
    # Of 27 samples one is 3, 3, 3 (3.7 %, more than 2.5 %) and eight are 0, 0, 0.
    assert paired_difference([0, 0, 3]) == (1, 0, 3, 3)


def test_many_pairs_come_near_the_normal_distribution():
    values = np.random.default_rng(1).normal(0.02, 0.05, 400)
    found = paired_difference(values)

    error = 1.96 * values.std() / 20
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - error, values.mean() + error), abs=6e-4
    )
