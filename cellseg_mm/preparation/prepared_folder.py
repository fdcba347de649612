"""The output folder: it appears whole or not at all, and a crash never loses the earlier one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cellseg_mm.files.exchanged_folder import exchanged_folder
from cellseg_mm.preparation.problems import InputError, Problem

FORMAT = "cellseg-mm prepared 1"
"""`audit.json` carries this as `format`: it marks a folder as one that may be replaced."""

AUDIT_FILE = "audit.json"
SPLITS_FOLDER = "splits"
AUDIT_PAGE = "audit.html"
_ENTRIES = {"annotations", AUDIT_FILE, AUDIT_PAGE, "audit.md", "images", "labels", SPLITS_FOLDER}


@contextmanager
def replaced_folder(out: Path, raw: Path) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `out` if the block succeeds.

    Args:
        out: The output folder: absent, empty, an earlier output, or one that holds only `splits/`.
        raw: The raw folder, which the output must not touch.

    Yields:
        The folder to write into; `out` is untouched until the block ends.

    Raises:
        InputError: `out` is not a folder that may be replaced.
        UserError: Another process is writing it.
    """
    out, raw = out.resolve(), raw.resolve()
    if out == raw or out in raw.parents or raw in out.parents:
        raise InputError(
            Problem(out, f"it overlaps with the raw folder {raw}", "choose another --out")
        )
    with exchanged_folder(out, _refuse_other_folders) as new:
        yield new


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
