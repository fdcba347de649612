"""benchmarks/: that stages run, and find both sides equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def test_quick_stages(run_python: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """One with a process of its own, one with a scorer; not in a process that has all imported."""
    stages = ["mask_results", "cell_metrics"]
    run_python(
        "-B", "benchmarks/run_all.py", "--quick", "--stages", *stages, "--out", tmp_path, check=True
    )
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert {row["stage"] for row in results["measurements"]} == {
        "paste + encode",
        "paste + encode, peak extra memory",
        "all cell metrics of an image",
    }
    assert (tmp_path / "results.md").is_file()


@pytest.mark.parametrize("program", ["training_step.py", "training_switches.py"])
def test_programs_start(program: str, run_python: Callable[..., CompletedProcess[str]]) -> None:
    assert "usage" in run_python("-B", f"benchmarks/{program}", "--help", check=True).stdout
