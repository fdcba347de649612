"""The checkpoint that a run is resumed from."""

from __future__ import annotations

from pathlib import Path


def find_last_checkpoint(work_dir: Path | str) -> Path | None:
    """The newest checkpoint of a work dir.

    MMEngine notes it in the file ``last_checkpoint``, with its absolute path and not atomically. So
    a folder that was moved, or a crash at the wrong moment, must not lose a run: where the note is
    of no use, the numbers in the files' names tell.

    Args:
        work_dir: Folder of a training.

    Returns:
        The checkpoint, in this folder; None if there is none.
    """
    folder = Path(work_dir)
    note = folder / "last_checkpoint"
    name = Path(note.read_text(encoding="utf-8").strip()).name if note.is_file() else ""
    if name and (folder / name).is_file():
        return folder / name
    numbered = {
        int(path.stem.removeprefix("epoch_")): path
        for path in folder.glob("epoch_*.pth")
        if path.stem.removeprefix("epoch_").isdigit()
    }
    return numbered[max(numbered)] if numbered else None
