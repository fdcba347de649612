"""What run.json says."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cellseg_mm.inference.results.run_record import write_run_record


def test_it_tells_model_options_versions_and_warnings(tmp_path: Path) -> None:
    path = tmp_path / "out" / "run.json"
    options = {"min_score": 0.4, "roi": Path("rings.geojson"), "mpp": None}
    write_run_record(path, {"name": "he", "sha256": "ab"}, options, ["0.25 µm were assumed."])
    assert "0.25 µm" in path.read_text(encoding="utf-8")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["model"] == {"name": "he", "sha256": "ab"}
    assert record["options"] == {"min_score": 0.4, "roi": "rings.geojson", "mpp": None}
    assert record["versions"]["numpy"] == np.__version__
    assert record["versions"]["torch"] == version("torch")
    assert record["warnings"] == ["0.25 µm were assumed."]
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]
