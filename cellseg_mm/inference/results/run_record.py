"""What was run: ``run.json`` beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.runs.package_versions import package_versions


def write_run_record(
    path: Path, model: Mapping[str, Any], options: Mapping[str, Any], warnings: Sequence[str]
) -> None:
    """Write what a result depends on, as JSON.

    Args:
        path: File to write.
        model: Name and hash of the model, and what else is known of it.
        options: Of the command.
        warnings: Sentences.
    """
    record = {
        "model": dict(model),
        "options": dict(options),
        "versions": package_versions(),
        "warnings": list(warnings),
    }
    with atomic_write(path) as unfinished:
        text = json.dumps(record, indent=2, ensure_ascii=False, default=str)
        unfinished.write_text(text + "\n", encoding="utf-8")
