"""The values of ``KEY=VALUE`` overrides."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from cellseg_mm.errors import UserError

_WORDS = {"true": True, "false": False, "inf": float("inf"), "nan": float("nan")}


def parse_value(text: str) -> Any:
    """Read a value as MMEngine's ``DictAction`` does, but blanks and quoted text are kept.

    ``[a,b]`` and ``a,b`` are lists, ``(a,b)`` is a tuple. Numbers, true, false and None are what
    they say. All else is text, with or without quotes.

    Raises:
        ValueError: A bracket or a quote is not closed.
    """
    text = text.strip()
    if _is_bracketed(text):
        values = [parse_value(part) for part in _split(text[1:-1])]
        return tuple(values) if text[0] == "(" else values
    parts = _split(text)
    if len(parts) > 1 or text.endswith(","):
        return [parse_value(part) for part in parts]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text == "None" or text[:1] in {*"0123456789.+-'\""}:
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
        return value if value is None or isinstance(value, int | float | str) else text
    return text


def value_for(key: str, text: str, old: Any) -> Any:
    """Read the value of a key where a config holds ``old``.

    Where it holds text, a text of digits or with a comma stays text.

    Raises:
        ValueError: It is text where a number, a list or keys are due, or a mere value for keys.
    """
    if isinstance(old, str) and text != "None" and not _is_bracketed(text):
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return text[1:-1] if quoted else text
    value = parse_value(text)
    if isinstance(value, str) and isinstance(old, list | tuple):
        if all(isinstance(member, str) for member in old):
            return [value]
        due = "a list, such as [1,2]"
    elif isinstance(old, Mapping) and value is not None:
        due = f"keys of its own, such as {key}.{next(reversed(old), 'type')}=…, or None"
    elif isinstance(value, str) and isinstance(old, bool):
        due = "true or false"
    elif isinstance(value, str | bool) and isinstance(old, int | float) != isinstance(old, bool):
        due = f"a number, such as {old}"
    else:
        return value
    raise UserError(f"--cfg-options {key}={text}: {key} takes {due}.")


def _is_bracketed(text: str) -> bool:
    return text[:1] + text[-1:] in ("[]", "()")


def _split(text: str) -> list[str]:
    """Split at the commas outside brackets and quotes; one at the end counts for nothing."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and not parts[-1].strip(" [("):
            quote = char
        depth += 0 if quote else (char in "[(") - (char in "])")
        if char == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += char
    if depth or quote:
        raise UserError(f"{text} has a bracket or a quote that is not closed.")
    return parts if parts[-1].strip() else parts[:-1]
