"""A folder that is made in a hidden one beside it, and then takes its place at once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cellseg_mm.errors import UserError
from cellseg_mm.files.unfinished import one_step, unfinished_output

_OLD = "old"
"""In the hidden folder: the earlier output, for the moment in which a new one takes its place."""


@contextmanager
def exchanged_folder(target: Path, refuse: Callable[[Path], None]) -> Iterator[Path]:
    """Give an empty folder that takes the place of `target` when the block ends without an error.

    Until then it lies in the hidden folder ``.<name>.unfinished`` beside `target`, thus on the same
    file system. After an error or an interrupt `target` is as it was, and nothing else is left.
    What a killed process left is removed by the next one, which also puts an earlier output back
    that was just being exchanged. Folders above `target` are made, and removed again if it did not
    come to lie there.

    Args:
        target: A folder, or absent.
        refuse: Raises an error if `target` holds what must not be replaced; asked before the block
            and again after it.

    Raises:
        UserError: Another process is making `target`.
    """
    place = target.absolute()
    work = place.parent / f".{place.name}.unfinished"
    with unfinished_output(), _parents(place):
        lock = None
        try:
            with one_step():
                lock = _lock(work, place)
            _clear_up(work, place)
            refuse(target)
            new = work / "new"
            new.mkdir()
            yield new
            refuse(target)
            _exchange(new, place, work / _OLD)
        finally:
            if lock is not None:
                shutil.rmtree(work, ignore_errors=True)
                os.close(lock)


def _exchange(new: Path, target: Path, old: Path) -> None:
    with one_step():
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    absent = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with suppress(OSError):  # it is not empty, as it should be
            for parent in absent:
                parent.rmdir()


def _lock(work: Path, target: Path) -> int:
    """Make the scratch folder and lock it; the lock goes with the process, even a killed one."""
    while True:
        try:
            work.mkdir(exist_ok=True)
        except OSError as error:  # it is not the hidden folder that was named
            raise OSError(error.errno, error.strerror, str(target)) from error
        with suppress(FileNotFoundError):
            lock = os.open(work, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise UserError(
                    f"Another process is writing {target}: wait for its end, or name another "
                    "output."
                ) from None
            # Between opening and locking, the process before may have removed the folder.
            if work.exists() and os.path.samestat(os.fstat(lock), work.stat()):
                return lock
            os.close(lock)


def _clear_up(work: Path, target: Path) -> None:
    old = work / _OLD
    if old.exists() and not target.exists():
        old.rename(target)
    for entry in work.iterdir():
        shutil.rmtree(entry)
