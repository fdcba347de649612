"""A folder that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellseg_mm.errors import UserError
from cellseg_mm.files.exchanged_folder import exchanged_folder


def require_absent_or_empty(target: Path) -> None:
    """Refuse a target that already holds something.

    Raises:
        UserError: `target` is a file, or a folder that is not empty.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} exists and is not a folder: name a new folder.")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target} exists and is not empty: name a new folder, or remove it.")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a scratch folder that becomes `target` when the block ends without an error.

    Args:
        target: Folder to make; absent, or an empty folder.

    Yields:
        The folder to write into; see :func:`~cellseg_mm.files.exchanged_folder.exchanged_folder`.

    Raises:
        UserError: `target` is a file, a folder that is not empty, or another process writes it.
    """
    with exchanged_folder(target, require_absent_or_empty) as scratch:
        yield scratch
