from __future__ import annotations

from cellseg_mm.errors import one_line


def test_one_line() -> None:
    assert one_line(ValueError(" two\n\tlines.\n")) == "two lines"
    assert one_line(KeyError()) == "KeyError"
    long = ValueError("a " * 300)
    assert one_line(long) == " ".join("a" * 100)
    assert one_line(long, longest=None) == " ".join("a" * 300)
