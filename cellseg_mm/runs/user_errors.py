"""Errors that a user can mend, as one sentence instead of a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from cellseg_mm.errors import UserError, printable

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
    and disks, 130 after Ctrl-C, 143 after SIGTERM, which unwinds the stack as Ctrl-C does, so that
    unfinished files are removed. Registries wrap errors on the way up: the whole chain counts. Any
    other error is a fault of this package and keeps its traceback.

    Args:
        interrupted: What to say after Ctrl-C or SIGTERM, beside the fact.
    """
    handler = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except (KeyboardInterrupt, Terminated) as error:
        stop = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        more = interrupted if isinstance(interrupted, str) else interrupted()
        what = "Interrupted" if stop == signal.SIGINT else "Terminated"
        print(f"\n{what}{f': {more}' if more else '.'}", file=sys.stderr)
        sys.exit(128 + stop)
    except BrokenPipeError:
        # Whoever read the output has left; nothing more can be said on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        print(f"error: {printable(sentence)}", file=sys.stderr)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGTERM, handler)


class Terminated(BaseException):
    """SIGTERM as an exception.

    Unlike SystemExit it is caught above: an exception that is never caught keeps the stack, and
    with it an unfinished output's generator, alive until the interpreter is gone.
    """


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def _sentence(error: BaseException | None) -> str | None:
    """The innermost message of a chain that is meant for the user."""
    found = None
    while error is not None:
        if isinstance(error, UserError):
            found = str(error)
            if found.startswith("Caught ") and _IN_WORKER in found:
                found = found.rpartition(_IN_WORKER)[2].partition(": ")[2].strip()
        elif found is None and isinstance(error, OSError) and error.errno in _USERS:
            found = f"{error.filename or 'The disk'}: {error.strerror}."
        error = error.__cause__ or error.__context__
    return found
