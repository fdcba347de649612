"""What came of one run of an ablation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellseg_mm.ablation.ladder import Row


@dataclass(frozen=True)
class RunResult:
    """A run, whether it is done or not.

    Attributes:
        row: Name of the row.
        fold: Index of the fold, or None.
        seed: Seed.
        state: "waiting", "trained", "done" or "failed".
        scores: What ``metrics.json`` says; None for a score that is not defined.
        training: What ``training_cost.json`` says.
        model: Parameters and GFLOPs, as :class:`~cellseg_mm.ablation.model_cost.ModelCost` names
            them.
        batch: Digest of the first training batch.
        error: Why it failed, one line.
        weights_of: Name of the row whose weights it tested; None if it was trained itself.
        test_seconds: How long the test took, start of Python included; None if it is not done.
    """

    row: str
    fold: int | None
    seed: int
    state: str = "waiting"
    scores: Mapping[str, float | None] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    batch: str | None = None
    error: str | None = None
    weights_of: str | None = None
    test_seconds: float | None = None

    @property
    def key(self) -> tuple[int | None, int]:
        """What pairs it with runs of other rows."""
        return self.fold, self.seed


def read_result(
    folder: Path, record: Mapping[str, Any], row: Row, fold: int | None, seed: int
) -> RunResult:
    """Read a run's work dir; ``record`` is its ``run.json``, empty if it has not begun."""
    state = record.get("state", "waiting")
    hashes = record.get("first_batches", {}).get("hashes") or [None]
    scores = _read(folder / "metrics.json") if state == "done" else {}
    scores.pop("run", None)  # what was scored, not a score
    return RunResult(
        row.name,
        fold,
        seed,
        state if state != "done" or scores else "trained",
        scores,
        _read(folder / "training_cost.json") if state in ("done", "trained") else {},
        record.get("model") or {},
        hashes[0],
        record.get("error") if state == "failed" else None,
        row.weights_of,
        record.get("test_seconds") if state == "done" else None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
