"""Errors that a user can mend, as one sentence instead of a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellseg_mm.errors import UserError, printable
from cellseg_mm.runs.stop_signals import StopSignals

_USERS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
"""What the system says of files and disks that the user named."""

_IN_WORKER = f"{UserError.__module__}."
"""A data loader's worker hands its error over as text: its last line is the class' full name and
the message."""


@contextmanager
def exit_with_a_sentence(interrupted: str | Callable[[], str] = "") -> Iterator[None]:
    """End the program with a sentence on stderr where the user can mend what went wrong.

    Exit code 2 for a :class:`~cellseg_mm.errors.UserError` and for what the system says of files
    and disks, 130 after Ctrl-C, 143 after SIGTERM; both unwind the stack, so that unfinished files
    are removed (:mod:`cellseg_mm.runs.stop_signals`). Registries wrap errors on the way up: the
    whole chain counts. Any other error is a fault of this package and keeps its traceback.

    Args:
        interrupted: What to say after Ctrl-C or SIGTERM, beside the fact.
    """
    stop = StopSignals(interrupted if callable(interrupted) else lambda: interrupted)
    stop.install()
    error: BaseException | None = None
    try:
        try:
            yield
        finally:
            stop.end()
    except BaseException as raised:
        error = raised
    stop.remove()
    if stop.noted is not None:
        # Whatever became of the exception on its way.
        print(stop.sentence(), end="", file=sys.stderr)
        sys.exit(128 + stop.noted)
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has left; nothing more can be said on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    sentence = _sentence(error) if isinstance(error, Exception) else None
    if sentence is not None:
        print(f"error: {printable(sentence)}", file=sys.stderr)
        sys.exit(2)
    if error is not None:
        raise error


def written_or_not(out: Path) -> Callable[[], str]:
    """What to say after a stop of a tool that writes a folder as a whole.

    Args:
        out: The folder, before the tool begins.
    """

    def identity() -> tuple[int, int] | None:
        try:
            status = out.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    before = identity()
    # The exchange of the folders is over in an instant; a signal may come after it.
    return lambda: "nothing was written." if identity() == before else f"{out} is whole."


def _sentence(error: BaseException | None) -> str | None:
    """The message of a chain that is meant for the user: the outermost one of ours."""
    of_system = None
    while error is not None:
        if isinstance(error, UserError):
            text = str(error)
            if text.startswith("Caught ") and _IN_WORKER in text:
                text = text.rpartition(_IN_WORKER)[2].partition(": ")[2].strip()
            return text
        if of_system is None and isinstance(error, OSError) and error.errno in _USERS:
            of_system = f"{error.filename or 'The disk'}: {error.strerror}."
        error = error.__cause__ or error.__context__
    return of_system
