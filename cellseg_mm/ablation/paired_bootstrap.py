"""Differences between two rows, run by run, and how sure they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

_RESAMPLES = 10_000


class PairedDifference(NamedTuple):
    """Mean difference over pairs of runs.

    Attributes:
        mean: Mean of second minus first; NaN without any pair.
        low: Lower end of the 95 % interval; NaN for fewer than two pairs.
        high: Upper end.
        pairs: Number of pairs.
    """

    mean: float
    low: float
    high: float
    pairs: int


def paired_difference(differences: npt.ArrayLike) -> PairedDifference:
    """Compare two rows on the runs (same fold, same seed) that both have.

    The interval is the percentile bootstrap's: whole pairs are drawn with replacement, as many as
    there are, 10,000 times. It covers what differs between folds and seeds, not what other images
    would change beyond that; with few pairs it is too narrow.

    Args:
        differences: Score of the row minus that of the row compared with, one for each pair.
    """
    values = np.asarray(differences, np.float64)
    count = len(values)
    mean = float(values.mean()) if count else float("nan")
    if count < 2:
        return PairedDifference(mean, float("nan"), float("nan"), count)
    rng = np.random.default_rng(0)
    found = bootstrap((values,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=rng)
    low, high = found.confidence_interval
    return PairedDifference(mean, float(low), float(high), count)
