"""A lock that keeps other processes out of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cellseg_mm.errors import UserError


@contextmanager
def folder_lock(lock_file: Path, refusal: str, patience: float = 0) -> Iterator[None]:
    """Hold a lock until the block ends; it goes with the process, even a killed one.

    Args:
        lock_file: In the folder, which is made.
        refusal: What is said if another process holds it.
        patience: Seconds to wait for that process' end.

    Raises:
        UserError: Another process holds it.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(lock_file).acquire(timeout=patience)
    except Timeout as error:
        raise UserError(refusal) from error
    with lock:
        yield
