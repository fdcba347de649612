"""Whether a score means what it says: the share of right predictions at each score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_mm.analysis.errors.average_precision import Ranking

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Scores of a class and how often they are right, in bins of equal width.

    A prediction is right if it finds a cell of its class that no better one has found.

    Attributes:
        scores: Mean score of each bin that holds predictions, rising.
        shares: Share of right predictions in each of these bins.
        predictions: Number of predictions in each of these bins.
    """

    scores: tuple[float, ...]
    shares: tuple[float, ...]
    predictions: tuple[int, ...]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al., ICML 2017); NaN without predictions."""
        if not self.predictions:
            return float("nan")
        gaps = np.abs(np.subtract(self.scores, self.shares))
        return float(np.average(gaps, weights=self.predictions))


def reliability(ranking: Ranking) -> Reliability:
    """Bin the predictions of a class by score."""
    scores = np.array(ranking.scores, np.float64)
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    predictions = np.bincount(bins, minlength=BINS)
    filled = predictions > 0

    def means(values: npt.ArrayLike) -> tuple[float, ...]:
        sums = np.bincount(bins, weights=values, minlength=BINS)
        return tuple((sums[filled] / predictions[filled]).tolist())

    return Reliability(means(scores), means(ranking.hits), tuple(predictions[filled].tolist()))
