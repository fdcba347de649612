"""The checkpoints of a work dir, and which of them a run is resumed from."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path


def find_last_checkpoint(work_dir: Path | str) -> Path | None:
    """The newest whole checkpoint of a work dir; None if there is none."""
    return next(filter(is_whole, checkpoints_newest_first(work_dir)), None)


def checkpoints_newest_first(work_dir: Path | str) -> list[Path]:
    """The numbered checkpoints of a work dir, from the newest to the oldest.

    MMEngine notes the newest in the file ``last_checkpoint``, with its absolute path, not
    atomically and after the checkpoint itself. So the note counts only for the name, and a file of
    a later epoch that was written after the noted one is newer. Files of later epochs that are
    older are left by another run in the same folder. A noted file of another name counts too.
    """
    folder = Path(work_dir)
    numbered = {
        int(path.stem.removeprefix("epoch_")): path
        for path in folder.glob("epoch_*.pth")
        if path.stem.removeprefix("epoch_").isdigit()
    }
    files = [numbered[epoch] for epoch in sorted(numbered, reverse=True)]
    note = folder / "last_checkpoint"
    text = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else ""
    noted = folder / Path(text.strip()).name
    if noted not in files and noted.is_file() and noted != note:
        files.insert(0, noted)
    elif noted in files:
        before = files.index(noted)
        written = noted.stat().st_mtime_ns
        newer = [path for path in files[:before] if path.stat().st_mtime_ns >= written]
        files = newer + files[before:]
    return files


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end and has not changed since, by its checksums.

    A bare pickle has none and is no damaged checkpoint of ours: whoever reads it refuses it.
    """
    with checkpoint.open("rb") as file:
        if file.read(1) == pickle.PROTO:
            return True
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, zlib.error):
        return False
