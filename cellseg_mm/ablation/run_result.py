"""What came of one run of an ablation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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

    @property
    def key(self) -> tuple[int | None, int]:
        """What pairs it with runs of other rows."""
        return self.fold, self.seed


def read_result(
    folder: Path, record: Mapping[str, Any], row: str, fold: int | None, seed: int
) -> RunResult:
    """Read a run's files.

    Args:
        folder: Its work dir.
        record: Its ``run.json``, empty if it has not begun.
        row: Name of the row.
        fold: Index of the fold, or None.
        seed: Seed.
    """
    state = record.get("state", "waiting")
    hashes = record.get("first_batches", {}).get("hashes") or [None]
    scores = _read(folder / "metrics.json") if state == "done" else {}
    return RunResult(
        row,
        fold,
        seed,
        state if state != "done" or scores else "trained",
        scores,
        _read(folder / "training_cost.json") if state in ("done", "trained") else {},
        record.get("model") or {},
        hashes[0],
        record.get("error") if state == "failed" else None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
