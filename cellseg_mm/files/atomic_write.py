"""A file that appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cellseg_mm.files.unfinished import one_step, unfinished_output

_MARK = ".unfinished"


@contextmanager
def atomic_write(target: str | Path) -> Iterator[Path]:
    """Give the path of an unfinished file that becomes ``target`` when the block ends.

    The unfinished file lies beside the target, thus on the same file system, under a hidden name
    that ends like the target's, so that writers which look at the suffix do the same. It is flushed
    to the disk before it is renamed. After an error nothing is left behind and an older target is
    as it was; what a killed process leaves, :func:`remove_unfinished` removes.

    Args:
        target: File to write or to replace. Folders above it are made.

    Yields:
        The path to write to: an empty file.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_file(target) as unfinished:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(target)


@contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """Give a new file under a hidden name beside ``target``; it is removed when the block ends.

    Until then it is locked, so that :func:`remove_unfinished` takes it for a living process'.

    Raises:
        OSError: The folder is absent or cannot be written to.
    """
    with unfinished_output():
        lock, path = None, target
        try:
            with one_step():
                lock, path = _locked_file(target)
            yield path
        finally:
            if lock is not None:
                path.unlink(missing_ok=True)
                os.close(lock)


def remove_unfinished(folder: str | Path, below: bool = True) -> None:
    """Remove what killed processes have left of :func:`atomic_write`.

    Files that a living process is writing stay: it holds a lock on them.

    Args:
        folder: Where; it may be absent.
        below: Whether to look into folders inside it.
    """
    pattern = f".*{_MARK}*"
    for path in Path(folder).rglob(pattern) if below else Path(folder).glob(pattern):
        with suppress(OSError):  # its writer lives, or has just finished
            lock = os.open(path, os.O_RDWR)  # NFS locks what can be written
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(lock)


def _locked_file(target: Path) -> tuple[int, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}.", suffix=f"{_MARK}{target.suffix}"
        )
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # removed as a dead process' before it was locked


def _umask() -> int:
    """The process' umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
