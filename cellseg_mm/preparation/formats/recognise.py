"""Guesses which annotation tool a file or folder comes from, for a hint."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from cellseg_mm.preparation.formats.json_text import read_json_text
from cellseg_mm.preparation.problems import BadFileError

_MOST_FILES = 2000
_MOST_JSON = 3


def format_of(source: Path) -> str | None:
    """The name of the format that a file, or the first file in a folder that tells it, has."""
    files = [source]
    if source.is_dir():
        files = sorted(path for path in islice(source.rglob("*"), _MOST_FILES) if path.is_file())
    if any(path.name.endswith((".geojson", ".geojson.gz")) for path in files):
        return "qupath"
    for path in islice((path for path in files if path.suffix == ".json"), _MOST_JSON):
        if found := _format_of_json(path):
            return found
    if any(path.name.endswith(("_seg.npy", "_masks.png", "_masks.tif")) for path in files):
        return "label-images"
    if any(path.parent.name == "masks" for path in files):
        return "label-images"
    return None


def _format_of_json(path: Path) -> str | None:
    try:
        content = read_json_text(path)
    except BadFileError:
        return None
    if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
        return "coco"
    return "labelme" if isinstance(content, dict) and "shapes" in content else None
