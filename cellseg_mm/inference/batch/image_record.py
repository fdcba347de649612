"""What was done with an image: ``<name>_run.json``, the last of its files to be written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellseg_mm.files.atomic_write import atomic_write

ENDING = "_run.json"


def source_of(image: Path) -> dict[str, Any]:
    """What tells whether an image has changed."""
    status = image.stat()
    return {
        "path": os.path.abspath(image),
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }


def write_record(
    folder: Path,
    name: Path,
    image: Path,
    asked: Mapping[str, Any],
    outputs: Sequence[Path],
    found: Mapping[str, Any],
) -> None:
    """Say that an image is done.

    Args:
        folder: The output folder.
        name: Name of the image's results.
        image: The image.
        asked: What the results depend on besides the image: model and options.
        outputs: The files that were written.
        found: What is worth telling: counts, size, µm per pixel, warnings, seconds.
    """
    record = {
        "image": source_of(image),
        "asked": dict(asked),
        "outputs": {os.path.relpath(path, folder): path.stat().st_size for path in outputs},
        "found": dict(found),
    }
    with atomic_write(_path(folder, name)) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_finished(
    folder: Path, name: Path, image: Path, asked: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What was found in an image, if it is complete and would come out the same.

    Returns:
        ``found`` of :func:`write_record`; None if the image, the model or an option has changed, or
        a file is missing or of another size.
    """
    try:
        record = json.loads(_path(folder, name).read_text(encoding="utf-8"))
        whole = all(
            (folder / path).stat().st_size == size for path, size in record["outputs"].items()
        )
        same = record["image"] == source_of(image) and record["asked"] == _as_json(asked)
        found: dict[str, Any] = record["found"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole and same else None


def _as_json(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))


def _path(folder: Path, name: Path) -> Path:
    return folder / name.with_name(name.name + ENDING)
