"""JSON of others, whole or record by record."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files import json_file
from cellseg_mm.files.json_file import iterate_list, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    content=st.lists(VALUES, max_size=6),
    indent=st.sampled_from([None, 1]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf", b" \n" * 5000]),
)
def test_records_equal_those_of_the_standard_library(content, indent, mark) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    assert list(iterate_list(io.BytesIO(mark + text.encode()))) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"  ",
        b"{}",
        b"[",
        b"[1 2]",
        b"[1,]",
        b"[1",
        b"[] []",
        b"[1]x",
        b"[\xff]",
        b"[9223372036854775808]",
    ],
)
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match=r"start with|not JSON|nested"):
        list(iterate_list(io.BytesIO(content)))


def test_a_record_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "MAX_RECORD_BYTES", 1000)
    records = iterate_list(io.BytesIO(b'["a", "' + b"x" * 1_000_000 + b'"]'))
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        list(records)
    # Many short ones are as long together.
    assert len(list(iterate_list(io.BytesIO(b"[" + b'"abc",' * 200_000 + b"1]")))) == 200_001


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert read_json(path, "The list") == {"a": 1}
    path.write_bytes(b"[" * 200_000)
    with pytest.raises(UserError, match=r"^The list .*a.json is not readable JSON"):
        read_json(path, "The list")
    with pytest.raises(MissingFileError, match=r"The list .* does not exist"):
        read_json(tmp_path / "b.json", "The list")
