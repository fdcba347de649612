"""What a stage hands back, and how both sides are timed and compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

import cellseg_mm  # noqa: F401  before a stage imports mmdet

Unit = Literal["s", "bytes", "images/s", "×"]


class ParityError(Exception):
    """Both sides gave different results: a ratio of their times would mean nothing."""


@dataclass(frozen=True)
class Target:
    """A bound that a measurement must hold.

    Attributes:
        quantity: "ratio", how many times better than stock, or "ours", this project's own value.
        bound: "at least" or "at most".
        value: The bound, in the measurement's unit for "ours".
    """

    quantity: Literal["ratio", "ours"]
    bound: Literal["at least", "at most"]
    value: float


@dataclass(frozen=True)
class Measurement:
    """One workload, measured on both sides.

    Attributes:
        stage: What was measured.
        workload: On what.
        unit: Of ``stock`` and ``ours``.
        stock: Stock MMDetection's (or pycocotools') value; None where it was not measured.
        ours: This project's value.
        target: The bound, if there is one.
        curve: For a point of a cost curve: "cells" or "side".
        x: Its place on the curve: number of cells, or side in pixels.
        note: What a reader should know.
    """

    stage: str
    workload: str
    unit: Unit
    stock: float | None
    ours: float
    target: Target | None = None
    curve: Literal["cells", "side"] | None = None
    x: int | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than stock this project is."""
        if self.stock is None:
            return None
        if self.unit == "images/s":
            return self.ours / self.stock
        return self.stock / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the target holds; None without a target or a value."""
        if self.target is None:
            return None
        value = self.ratio if self.target.quantity == "ratio" else self.ours
        if value is None:
            return None
        return (
            value >= self.target.value
            if self.target.bound == "at least"
            else (value <= self.target.value)
        )

    def as_record(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Measurement:
        """Read what :meth:`as_record` gave."""
        fields = {key: value for key, value in record.items() if key not in ("ratio", "met")}
        if fields["target"] is not None:
            fields["target"] = Target(**fields["target"])
        return cls(**fields)


def require(condition: bool, what: str) -> None:
    """Abort the benchmark unless both sides agree.

    Raises:
        ParityError: They do not.
    """
    if not condition:
        raise ParityError(f"Stock MMDetection and this project differ: {what}.")


def time_both(
    stock: Callable[[], object], ours: Callable[[], object], repeats: int, inner: int = 5
) -> tuple[float, float]:
    """Median seconds of both sides, taken in turns so that a busy moment hits both.

    Both must have run before (the parity check does that), so nothing is measured cold.

    Args:
        stock: Stock MMDetection's work.
        ours: The same in this project.
        repeats: Measurements of ``stock``.
        inner: Measurements of ``ours``, the faster one, for each of those.
    """
    slow, fast = [], []
    for _ in range(repeats):
        slow.append(seconds(stock))
        fast += [seconds(ours) for _ in range(inner)]
    return float(np.median(slow)), float(np.median(fast))


def seconds(work: Callable[[], object]) -> float:
    """Run once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
