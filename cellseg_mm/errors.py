"""What the user can mend, as exceptions of our own."""

from __future__ import annotations


class UserError(ValueError):
    """The input, the config or the command line is at fault.

    Its message is one sentence for the user: what is wrong, where, and what to do. The tools print
    it without a traceback (:mod:`cellseg_mm.runs.user_errors`); every other exception is taken for
    a fault of this package.
    """


class MissingFileError(UserError, FileNotFoundError):
    """A file that the user named does not exist."""


def printable(text: str) -> str:
    """Text of others, such as a file's name, without what a terminal would take for a command."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def one_line(error: Exception, longest: int | None = 200) -> str:
    """What an exception says, or its kind, in one line that fits into a sentence."""
    return " ".join(str(error).split())[:longest].rstrip(" .") or type(error).__name__
