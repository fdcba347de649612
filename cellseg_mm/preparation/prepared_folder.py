"""The output folder: it appears whole or not at all, and a crash never loses the earlier one.

Beside `OUT`, a working folder `.OUT.prepare` holds `new/` while it is being written, and for the
moment of the exchange `old/`, the earlier output. The next run clears up what a killed run left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cellseg_mm.preparation.problems import InputError, Problem

FORMAT = "cellseg-mm prepared 1"
"""`audit.json` carries this as `format`: it marks a folder as one that may be replaced."""

AUDIT_FILE = "audit.json"
SPLITS_FOLDER = "splits"
_ENTRIES = {"annotations", AUDIT_FILE, "audit.md", "images", "labels", SPLITS_FOLDER}


@contextmanager
def replaced_folder(out: Path, raw: Path) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `out` if the block succeeds.

    After an error or an interrupt in the block, `out` is as it was, and nothing else is left.

    Args:
        out: The output folder: absent, empty, an earlier output, or one that holds only `splits/`.
        raw: The raw folder, which the output must not touch.

    Yields:
        The folder to write into; `out` is untouched until the block ends.

    Raises:
        InputError: `out` is not a folder that may be replaced, or another run is writing it.
    """
    out, raw = out.resolve(), raw.resolve()
    if out == raw or out in raw.parents or raw in out.parents:
        raise InputError(
            Problem(out, f"it overlaps with the raw folder {raw}", "choose another --out")
        )
    new_parents = _make_parents(out)
    work = out.parent / f".{out.name}.prepare"
    try:
        lock = None
        try:
            lock = _lock(work, out)
            _recover(work, out)
            _refuse_other_folders(out)
            new = work / "new"
            new.mkdir()
            yield new
            _exchange(new, out, work / "old")
        finally:
            if lock is not None:
                shutil.rmtree(work, ignore_errors=True)
                os.close(lock)
            else:
                # An interrupt may come when the folder is made and not yet locked. Another run's
                # folder is not empty, and stays.
                with suppress(OSError):
                    work.rmdir()
    finally:
        for parent in new_parents:
            # Fails, as it should, where the output came to lie there.
            try:
                parent.rmdir()
            except OSError:
                break


def _make_parents(out: Path) -> list[Path]:
    """Make the folders above `out`; the new ones are returned, deepest first."""
    absent = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    return absent


def _lock(work: Path, out: Path) -> int:
    """Make the working folder and lock it; the lock goes with the process, even a killed one."""
    while True:
        work.mkdir(exist_ok=True)
        try:
            lock = os.open(work, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise InputError(
                Problem(out, "another run is writing this folder", "wait for it to end")
            ) from None
        except BaseException:
            os.close(lock)
            raise
        # Between opening and locking, the run before may have removed the folder.
        if work.exists() and os.path.samestat(os.fstat(lock), work.stat()):
            return lock
        os.close(lock)


def _recover(work: Path, out: Path) -> None:
    """Clear up after a killed run: put the earlier output back if it was just being exchanged."""
    old = work / "old"
    if old.exists() and not out.exists():
        old.rename(out)
    for entry in work.iterdir():
        shutil.rmtree(entry)


def _refuse_other_folders(out: Path) -> None:
    """Refuse to replace anything that a run did not write."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(Problem(out, "it is a file", "choose another --out"))
    entries = {entry.name for entry in out.iterdir()}
    audit = _read_audit(out)
    foreign = sorted(entries - _ENTRIES) or (_foreign_files(out, audit) if audit else [])
    if foreign:
        raise InputError(
            Problem(
                out,
                f"it holds {foreign[0]!r}, which is no part of a prepared data set and would "
                "be lost",
                "move that away or choose another --out",
            )
        )
    if entries - {SPLITS_FOLDER} and not audit:
        raise InputError(
            Problem(
                out,
                f"it is not empty, and no {AUDIT_FILE} shows that it is an earlier output",
                "choose another --out, or remove it yourself",
            )
        )


def _read_audit(folder: Path) -> dict[str, Any]:
    """The audit of an earlier output; empty where there is none."""
    try:
        audit = json.loads((folder / AUDIT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return audit if isinstance(audit, dict) and audit.get("format") == FORMAT else {}


def _foreign_files(out: Path, audit: Mapping[str, Any]) -> list[str]:
    """Files below an earlier output that are not of its images."""
    names = {image["name"] for image in audit.get("images", [])}
    return sorted(
        path.relative_to(out).as_posix()
        for folder, known in (
            ("annotations", {"train", "val", "test"}),
            ("images", names),
            ("labels", names),
        )
        for path in (out / folder).rglob("*")
        if not path.is_dir() and path.stem not in known
    )


def _exchange(new: Path, out: Path, old: Path) -> None:
    if not out.exists():
        new.rename(out)
        return
    out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if not out.exists():
            old.rename(out)
        raise
