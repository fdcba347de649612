"""Reads a JSON file of annotations, packed with gzip or not."""

from __future__ import annotations

import gc
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cellseg_mm.preparation.problems import BadFileError, reading

_LARGEST = 512 << 20
_MOST_PACKED = 200
"""Numbers take a tenth when packed; what takes so little is no annotation."""


def read_json_text(path: Path) -> Any:
    """Read a file; one that ends in `.gz` is unpacked.

    Raises:
        BadFileError: Not readable, not JSON, or larger than 512 MB unpacked.
    """
    errors = (OSError, EOFError, zlib.error, ValueError, RecursionError)
    with reading(path, "not readable as JSON", "export it again", *errors):
        size = path.stat().st_size
        largest = _LARGEST
        if path.suffix == ".gz":
            largest = min(largest, _MOST_PACKED * size + 4096)
            with gzip.open(path) as file:
                text = file.read(largest + 1)
            size = len(text)
        else:
            text = path.read_bytes() if size <= largest else b""
        if size > largest:
            what = f"it is larger than {largest >> 20 or 1} MB"
            raise BadFileError(path, what, "export fewer cells to a file")
        with _no_garbage_collection():
            return json.loads(text)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The collector would look through the growing tree again and again: 10 s of 12 for 90 MB."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
