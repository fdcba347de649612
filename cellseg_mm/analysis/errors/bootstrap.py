"""Bootstrap intervals: how far a number would move with other images, or other patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Share of the bootstrap samples that an interval holds."""

FEW_UNITS = 8
"""With fewer units than this, the samples hardly differ and intervals come out too narrow."""

_LEAST_DEFINED = 0.5


class Interval(NamedTuple):
    """A number with its bootstrap interval.

    Attributes:
        value: Of the images as they are.
        low, high: Its ends; NaN where there is no interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ResamplingUnits:
    """What is drawn with replacement: images of one patient are more alike, so stay together.

    Attributes:
        kind: "patients" or "images".
        of_image: (I,) int64, number of each image's unit, in the order of the images.
        count: U, number of units.
    """

    kind: str
    of_image: npt.NDArray[np.int64]
    count: int


def resampling_units(images: Iterable[Mapping[str, Any]]) -> ResamplingUnits:
    """Choose the units: patients where every image names one and there are several, else images.

    Args:
        images: COCO image records, with the key `patient` where it is known.
    """
    patients = [image.get("patient") for image in images]
    names = sorted({str(patient) for patient in patients if patient is not None})
    if None in patients or len(names) < 2:
        return ResamplingUnits("images", np.arange(len(patients)), len(patients))
    number = {name: i for i, name in enumerate(names)}
    of_image = np.array([number[str(patient)] for patient in patients], np.int64)
    return ResamplingUnits("patients", of_image, len(names))


def bootstrap_weights(units: ResamplingUnits, samples: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples: as many units as there are, with replacement.

    Returns:
        (B, I) int64: how often each of the samples holds each image.
    """
    drawn = np.random.default_rng(seed).multinomial(
        units.count, np.full(units.count, 1 / units.count), size=samples
    )
    return drawn[:, units.of_image].astype(np.int64)


def percentile_interval(value: float, samples: npt.ArrayLike) -> Interval:
    """The percentile interval of a number.

    Args:
        value: Of the images as they are.
        samples: (B,) the number in each sample; NaN where it is undefined, as that of a rare class
            is in a sample without its cells.

    Returns:
        The interval; without one where fewer than half of the samples define the number.
    """
    values = np.asarray(samples, np.float64)
    defined = values[~np.isnan(values)]
    if np.isnan(value) or not defined.size or defined.size < _LEAST_DEFINED * values.size:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
