"""Finding the checkpoint to resume from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellseg_mm.runs.last_checkpoint import find_last_checkpoint


@pytest.mark.parametrize(
    ("note", "files", "expected"),
    [
        ("/elsewhere/epoch_2.pth", ["epoch_1.pth", "epoch_2.pth"], "epoch_2.pth"),  # moved
        ("", ["epoch_9.pth", "epoch_10.pth", "best_epoch_11.pth"], "epoch_10.pth"),  # half-written
        ("epoch_7.pth", ["epoch_6.pth"], "epoch_6.pth"),  # deleted
        (None, ["epoch_3.pth"], "epoch_3.pth"),
        (None, [], None),
        ("epoch_1.pth", [], None),
    ],
)
def test_find(tmp_path: Path, note: str | None, files: list[str], expected: str | None) -> None:
    if note is not None:
        (tmp_path / "last_checkpoint").write_text(note)
    for name in files:
        (tmp_path / name).touch()
    found = find_last_checkpoint(tmp_path)
    assert found == (None if expected is None else tmp_path / expected)
