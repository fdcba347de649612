"""JSON that someone else wrote: read whole, or a list of it record by record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson

from cellseg_mm.errors import MissingFileError, UserError

MAX_RECORD_BYTES = 16 << 20
"""Most that one record of a list may take: a chessboard of 2,500 × 2,500 pixels takes half."""

MAX_DEPTH = 64
"""Most lists and objects inside one another in a record."""


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file, with or without a byte-order mark.

    Args:
        path: The file.
        what: What it is, to begin a sentence with, such as "The annotation file".

    Raises:
        MissingFileError: It does not exist.
        UserError: It is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise MissingFileError(f"{what} {path} does not exist.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} {path} is not readable JSON: {error}.") from error


def iterate_list(file: IO[bytes]) -> Iterator[Any]:
    """Read a JSON list record by record, so that memory does not grow with it.

    Args:
        file: UTF-8, with or without a byte-order mark.

    Yields:
        The records; fractions are floats.

    Raises:
        UserError: The file is no JSON list, or a record is longer than ``MAX_RECORD_BYTES``.
    """
    source = _LimitedReader(file)
    if source.first != b"[":
        raise UserError("it does not start with [")
    builder, depth = ijson.ObjectBuilder(), 0
    try:
        # ijson.items would name the place of every value, which a hundred thousand brackets turn
        # into gigabytes.
        for event, value in ijson.basic_parse(source, use_float=True):
            if event in ("end_array", "end_map"):
                depth -= 1
            if depth > 0:
                builder.event(event, value)
            if event in ("start_array", "start_map"):
                depth += 1
                if depth > MAX_DEPTH:
                    raise UserError(f"it is nested {MAX_DEPTH} times and more")
            elif depth == 1:
                yield builder.value
                builder, source.since_record = ijson.ObjectBuilder(), 0
    except (ijson.JSONError, UnicodeDecodeError, OverflowError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise UserError(f"it is not JSON ({reason})") from error


class _LimitedReader:
    """Reads a file from its first character that is not blank, and counts."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.since_record = 0
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        while not start and (more := file.read(4096)):
            start = more.lstrip()
        self._start = start
        self.first = start[:1]

    def read(self, size: int = -1) -> bytes:
        if size == 0:  # ijson asks whether it is bytes that come
            return b""
        data, self._start = self._start or self._file.read(size), b""
        self.since_record += len(data)
        if self.since_record > MAX_RECORD_BYTES + 2 * len(data):
            raise UserError(f"a record takes more than {MAX_RECORD_BYTES:,} bytes")
        return data
