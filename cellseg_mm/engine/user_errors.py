"""Errors that a user can mend, as one sentence instead of a traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

# How torch reports what was raised in a data loader's worker: the traceback as text. The greedy
# part before "File" makes it the traceback's last frame.
_WORKER_ERROR = re.compile(
    r'Caught (?P<kind>\w+) in DataLoader worker.*File "[^"]*cellseg_mm[^"]*", line \d+, in \w+\n'
    r"(?:    [^\n]*\n)*(?P=kind): (?P<message>.*)",
    re.S,
)
_KINDS = (ValueError, OSError, NotImplementedError)


@contextmanager
def exit_with_a_sentence() -> Iterator[None]:
    """Turn an error that this package raised into "error: …" on stderr and exit code 2.

    The package words its own errors for users; MMEngine's registries wrap them on the way up.
    Errors from elsewhere are bugs until proven otherwise, and keep their traceback.
    """
    try:
        yield
    except _KINDS as error:
        sentence = _own_message(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(2)


def _own_message(error: BaseException | None) -> str | None:
    """The message of the error in a chain that this package raised."""
    while error is not None:
        if _raised_here(error.__traceback__):
            return str(error)
        in_worker = _WORKER_ERROR.search(str(error))
        if in_worker is not None:
            return in_worker["message"].strip()
        error = error.__cause__ or error.__context__
    return None


def _raised_here(traceback: TracebackType | None) -> bool:
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "")
    return str(module).startswith("cellseg_mm.")
