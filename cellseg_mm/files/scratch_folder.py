"""A hidden folder beside an output, in which the output is made."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cellseg_mm.errors import UserError
from cellseg_mm.files.unfinished import one_step, unfinished_output

OLD = "old"
"""In a scratch folder: the earlier output, for the moment in which a new one takes its place."""


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder ``.<name>.unfinished`` beside `target`, thus on the same file system.

    It is removed when the block ends. What a killed process left of it is removed before, and an
    earlier output that it was just exchanging is put back. Folders above `target` are made, and
    removed again if it did not come to lie there.

    Args:
        target: Folder that is made in it.

    Raises:
        UserError: Another process is making `target`.
    """
    target = target.absolute()
    work = target.parent / f".{target.name}.unfinished"
    with unfinished_output(), _parents(target):
        lock = None
        try:
            with one_step():
                lock = _lock(work, target)
            _clear_up(work, target)
            yield work
        finally:
            if lock is not None:
                shutil.rmtree(work, ignore_errors=True)
                os.close(lock)


def exchange(new: Path, target: Path, work: Path) -> None:
    """Let a folder take the place of `target`, which is as it was after an error.

    Args:
        new: The folder, in `work`.
        target: A folder, or absent.
        work: The scratch folder of `target`.
    """
    old = work / OLD
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
    old = work / OLD
    if old.exists() and not target.exists():
        old.rename(target)
    for entry in work.iterdir():
        shutil.rmtree(entry)
