"""What the handlers of signals ask: whether the process is writing, and where it must not stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_open = _steps = 0  # of this process


@contextmanager
def unfinished_output() -> Iterator[None]:
    """Count an output as unfinished until the block has ended and cleaned up."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1


@contextmanager
def one_step() -> Iterator[None]:
    """Let no stop come between what is made in the block and the note of it; for moments only."""
    global _steps
    _steps += 1
    try:
        yield
    finally:
        _steps -= 1


def output_is_open() -> bool:
    """Whether an output is unfinished."""
    return _open > 0


def step_is_open() -> bool:
    """Whether a stop has to wait for a moment."""
    return _steps > 0
