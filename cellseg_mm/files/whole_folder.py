"""A folder that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellseg_mm.errors import UserError


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

    The scratch folder lies beside the target, thus on the same file system, so that the last step
    is one rename. After an error (or an interrupt) nothing is left behind.

    Args:
        target: Folder to make; absent, or an empty folder.

    Yields:
        The folder to write into.

    Raises:
        UserError: `target` is a file, or a folder that is not empty.
    """
    target = target.absolute()
    require_absent_or_empty(target)
    new_parents = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        # mkdtemp makes a private folder; the one inside gets the ordinary permissions.
        scratch = holder / target.name
        scratch.mkdir()
        yield scratch
        # A rename replaces an empty folder and fails on one that was filled in the meantime.
        scratch.rename(target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        if not target.exists():
            for parent in new_parents:
                parent.rmdir()
