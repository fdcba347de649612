"""What is resampled, how often, and the intervals that come of it."""

import numpy as np
import pytest

from cellseg_mm.analysis.errors.bootstrap import (
    bootstrap_weights,
    percentile_interval,
    resampling_units,
)


def test_patients_are_units_where_all_are_known():
    units = resampling_units([{"patient": "b"}, {"patient": "a"}, {"patient": "b"}])

    assert (units.kind, units.count) == ("patients", 2)
    assert units.of_image.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "images",
    [
        [{"patient": "a"}, {}, {"patient": "b"}],
        [{"patient": "a"}, {"patient": "a"}, {"patient": "a"}],
        [{}, {}, {}],
    ],
    ids=["one unknown", "only one patient", "none known"],
)
def test_images_are_units_otherwise(images):
    units = resampling_units(images)

    assert (units.kind, units.count) == ("images", 3)
    assert units.of_image.tolist() == [0, 1, 2]


def test_samples_draw_as_many_units_and_keep_patients_together():
    units = resampling_units([{"patient": p} for p in "aabccc"])

    weights = bootstrap_weights(units, samples=200, seed=3)

    assert weights.shape == (200, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    # Each of 3 units is left out of a sample with probability (2/3)³ = 0.296.
    assert (weights[:, 2] == 0).mean() == pytest.approx(0.296, abs=0.1)
    assert (weights == bootstrap_weights(units, 200, seed=3)).all()
    assert (weights != bootstrap_weights(units, 200, seed=4)).any()


def test_interval_holds_the_middle_of_the_samples():
    # Of 0, 1, …, 100, the quantiles 0.025 and 0.975 are 2.5 and 97.5.
    assert percentile_interval(40.0, np.arange(101.0)) == pytest.approx((40.0, 2.5, 97.5))


def test_interval_of_what_is_undefined_in_some_samples():
    nan = float("nan")
    assert percentile_interval(1.0, [1.0, 1.0, nan, nan]) == (1.0, 1.0, 1.0)
    assert np.isnan(percentile_interval(1.0, [1.0, nan, nan, nan])[1:]).all()
    assert np.isnan(percentile_interval(nan, [1.0, 1.0])).all()
    assert np.isnan(percentile_interval(1.0, [])[1:]).all()
