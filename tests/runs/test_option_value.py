"""The values of KEY=VALUE overrides."""

from __future__ import annotations

import math
from typing import Any

import pytest
from mmengine.config import DictAction

from cellseg_mm.runs.option_value import parse_value, value_for


@pytest.mark.parametrize(
    "text",
    [
        *("1", "-2", "1.5", "1e-4", ".5", "true", "False", "None", "none", "x", "u=v", "1.5x"),
        *("1,2,3", "a,b", "[a,b]", "[1]", "[]", "()", "(8)", "(1333,800)", "[(1,2),[a,b],c]"),
        *("a-b/c_d.pth", "'x'", "2024-01-02", "inf"),
    ],
)
def test_as_mmengine_does(text: str) -> None:
    expected = DictAction._parse_iterable(text)
    value = parse_value(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my data", "my data"),
        ("[my data, 2]", ["my data", 2]),
        ("['a, b', \"c]\", [d e]]", ["a, b", "c]", ["d e"]]),
        ("a,", ["a"]),
        ("'1'", "1"),
        ("007", "007"),
        ("it's", "it's"),
        ("{1: 2}", "{1: 2}"),
        ("1+2j", "1+2j"),
    ],
)
def test_what_mmengine_reads_otherwise(text: str, expected: Any) -> None:
    value = parse_value(text)
    assert value == expected
    assert type(value) is type(expected)


def test_not_a_number() -> None:
    assert math.isnan(parse_value("nan"))


@pytest.mark.parametrize("text", ["[1,2", "1,2)", "['a]", "(1,2),(3,4"])
def test_what_is_not_closed(text: str) -> None:
    with pytest.raises(ValueError, match="not closed"):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "old", "expected"),
    [
        ("2024", "data/", "2024"),  # a folder, not a number
        ("true", "data/", "true"),
        ("a,b", "data/", "a,b"),
        ("'a b'", "data/", "a b"),
        ("[a,b]", "data/", ["a", "b"]),
        ("None", "data/", None),
        ("cell", ("a", "b"), ["cell"]),
        ("a.pth", [], ["a.pth"]),
        ("2", [1.0], 2),
        ("None", {"type": "X"}, None),
        ("1", True, 1),
        ("3", None, 3),
        ("3.5", 2, 3.5),
    ],
)
def test_what_the_config_holds_tells_how_to_read(text: str, old: Any, expected: Any) -> None:
    assert value_for("key", text, old) == expected


@pytest.mark.parametrize(
    ("text", "old", "message"),
    [
        ("two", 20, "key takes a number, such as 20"),
        ("True", 20, "key takes a number, such as 20"),
        ("yes", False, "key takes true or false"),
        ("wide", [1, 2], "key takes a list, such as"),
        ("x", [{"type": "X"}], "key takes a list"),
        ("off", {"type": "X"}, r"key takes keys of its own, such as key\.type=…, or None"),
        ("1,2", {"type": "X"}, "key takes keys of its own"),
    ],
)
def test_the_wrong_kind_is_one_sentence(text: str, old: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        value_for("key", text, old)
