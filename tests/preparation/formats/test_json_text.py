from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cellseg_mm.preparation.formats import json_text
from cellseg_mm.preparation.formats.json_text import read_json_text
from cellseg_mm.preparation.problems import BadFileError


def _refused(path: Path) -> str:
    with pytest.raises(BadFileError) as caught:
        read_json_text(path)
    return str(caught.value)


def test_packed_or_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.json", tmp_path / "a.json.gz"
    plain.write_text('{"a": [1, 2.5]}')
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_json_text(plain) == read_json_text(packed) == {"a": [1, 2.5]}


def test_a_file_that_is_too_large_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * (9 << 20)))
    sentence = "it is larger than 1 MB; export fewer cells to a file."
    assert _refused(path) == f"{path}: {sentence}"
    monkeypatch.setattr(json_text, "_LARGEST", 1 << 20)
    plain = tmp_path / "a.json"
    plain.write_bytes(b" " * ((1 << 20) + 1))
    assert _refused(plain) == f"{plain}: {sentence}"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert _refused(path) == f"{path}: this file does not exist; add it."
    path.write_text("{")
    assert _refused(path).startswith(f"{path}: not readable as JSON (Expecting property name")
    path.write_text("[" * 100_000)
    assert _refused(path).startswith(f"{path}: not readable as JSON (maximum recursion depth")
    assert _refused(tmp_path).startswith(f"{tmp_path}: not readable as JSON ([Errno 21] Is a dir")
