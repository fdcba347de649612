"""Differences between two rows, run by run, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_RESAMPLES = 10_000


class PairedDifference(NamedTuple):
    """Mean difference over pairs of runs.

    Attributes:
        mean: Mean of second minus first.
        low: Lower end of the 95 % interval; None for fewer than two pairs.
        high: Upper end.
        pairs: Number of pairs.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int


def paired_difference(
    first: Sequence[float], second: Sequence[float], seed: int = 0
) -> PairedDifference | None:
    """Compare two rows on the runs (same fold, same seed) that both have.

    The interval is the percentile bootstrap's: whole pairs are drawn with replacement, as many as
    there are, 10,000 times. It covers what differs between folds and seeds, not what other images
    would change beyond that; with few pairs it is too narrow.

    Args:
        first: Score of the row compared with, one for each pair.
        second: Score of the row, in the same order.
        seed: Of the resampling.

    Returns:
        The difference, or None without any pair.
    """
    differences = np.subtract(second, first, dtype=np.float64)
    count = len(differences)
    if count == 0:
        return None
    mean = float(differences.mean())
    if count == 1:
        return PairedDifference(mean, None, None, 1)
    drawn = np.random.default_rng(seed).integers(count, size=(_RESAMPLES, count))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return PairedDifference(mean, float(low), float(high), count)
