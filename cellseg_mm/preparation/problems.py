"""What is wrong with the input: collected over all files, then reported at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cellseg_mm.errors import UserError, one_line


class Problem(NamedTuple):
    """One thing that keeps a data set from being prepared.

    Attributes:
        path: The file or folder at fault.
        what: What is wrong with it.
        remedy: What the user can do about it.
    """

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.remedy}."


class BadFileError(UserError):
    """One raw file cannot be used."""

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__(path, what, remedy)
        self.problem = Problem(path, what, remedy)

    def __str__(self) -> str:
        return str(self.problem)


@contextmanager
def reading(path: Path, what: str, remedy: str, *errors: type[Exception]) -> Iterator[None]:
    """What goes wrong within is said of a file; a BadFileError has said it already.

    Args:
        path: The file.
        what: What is wrong with it, before the reason in brackets.
        remedy: What the user can do about it.
        errors: What can go wrong; nothing stands for all, as damaged files raise almost anything.

    Raises:
        BadFileError: It went wrong, or the file does not exist.
    """
    errors = errors or (Exception,)
    try:
        yield
    except BadFileError:
        raise
    except FileNotFoundError as error:
        raise BadFileError(path, "this file does not exist", "add it") from error
    except errors as error:
        raise BadFileError(path, f"{what} ({one_line(error)})", remedy) from error


class InputError(UserError):
    """The input cannot be prepared; `problems` lists every reason that was found."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        count = len(problems)
        title = f"nothing was written: {count} problem{'s' * (count != 1)}."
        super().__init__("\n- ".join([title, *map(str, problems)]))
