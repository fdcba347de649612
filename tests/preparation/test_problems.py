from __future__ import annotations

from pathlib import Path

import pytest

from cellseg_mm.preparation.problems import BadFileError, reading

PATH = Path("a.csv")


def _said(raised: BaseException, *errors: type[Exception]) -> str:
    with pytest.raises(BadFileError) as caught, reading(PATH, "not a CSV", "mend it", *errors):
        raise raised
    return str(caught.value)


def test_what_goes_wrong_is_said_of_the_file() -> None:
    assert _said(ValueError("two\n  lines.")) == "a.csv: not a CSV (two lines); mend it."
    assert _said(EOFError()) == "a.csv: not a CSV (EOFError); mend it."
    assert _said(MemoryError("no room")) == "a.csv: not a CSV (no room); mend it."
    assert _said(StopIteration("end")) == "a.csv: not a CSV (end); mend it."
    assert _said(ValueError("x" * 500)) == f"a.csv: not a CSV ({'x' * 200}); mend it."
    assert _said(FileNotFoundError("gone")) == "a.csv: this file does not exist; add it."
    assert _said(IsADirectoryError("gone"), OSError) == "a.csv: not a CSV (gone); mend it."


def test_what_has_been_said_is_not_said_again() -> None:
    inner = BadFileError(Path("b.csv"), "it is empty", "fill it")
    assert _said(inner) == _said(inner, ValueError) == "b.csv: it is empty; fill it."


@pytest.mark.parametrize("raised", [MemoryError(), KeyError("a"), KeyboardInterrupt()])
def test_other_errors_go_on(raised: BaseException) -> None:
    with (
        pytest.raises(type(raised)) as caught,
        reading(PATH, "not a CSV", "mend it", OSError, ValueError),
    ):
        raise raised
    assert caught.value is raised


def test_keyboard_interrupt_goes_on_where_all_errors_are_meant() -> None:
    with pytest.raises(KeyboardInterrupt), reading(PATH, "not a CSV", "mend it"):
        raise KeyboardInterrupt
