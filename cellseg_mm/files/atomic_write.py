"""A file that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(target: str | Path) -> Iterator[Path]:
    """Give the path of an unfinished file that becomes ``target`` when the block ends.

    The unfinished file lies beside the target, thus on the same file system, under a hidden name
    that ends like the target's, so that writers which look at the suffix do the same. It is flushed
    to the disk before it is renamed. After an error nothing is left behind and an older target is
    as it was.

    Args:
        target: File to write or to replace. Folders above it are made.

    Yields:
        The path to write to: an empty file.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}.", suffix=f".unfinished{target.suffix}"
    )
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _umask() -> int:
    """The process' umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
