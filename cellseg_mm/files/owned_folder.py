"""A folder of generated files that is replaced as a whole, and only if nothing else is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellseg_mm.errors import UserError
from cellseg_mm.files.exchanged_folder import exchanged_folder

MANIFEST = "written-by-cellseg-mm.json"
"""Lists the files of the folder: what it does not list is somebody else's."""


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give a scratch folder that takes the place of `target` when the block ends without an error.

    Args:
        target: Folder to make; absent, empty, or what this function made before.

    Yields:
        The folder to write into; see :func:`~cellseg_mm.files.exchanged_folder.exchanged_folder`.

    Raises:
        ValueError: `target` holds what this function did not write.
    """
    with exchanged_folder(target, _refuse_others) as scratch:
        yield scratch
        listed = json.dumps({"files": sorted(_files(scratch))}, indent=1)
        (scratch / MANIFEST).write_text(listed + "\n", encoding="utf-8")


def _refuse_others(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} exists and is not a folder: choose another name with --out.")
    if not target.is_dir():
        return
    try:
        listed = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        listed = []
    others = sorted(_files(target) - {*listed, MANIFEST})
    if others:
        raise UserError(
            f"The folder {target} would be replaced, but holds {others[0]}, which was not written "
            "by an earlier run: move that away, or choose another name with --out."
        )


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
