"""Finding the checkpoint to resume from."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from cellseg_mm.runs.last_checkpoint import (
    checkpoints_newest_first,
    find_last_checkpoint,
    is_whole,
)


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
    for name in files:
        torch.save({"epoch": name}, tmp_path / name)
    if note is not None:
        (tmp_path / "last_checkpoint").write_text(note)
    found = find_last_checkpoint(tmp_path)
    assert found == (None if expected is None else tmp_path / expected)


def test_a_file_that_was_not_noted_any_more_is_the_newest(tmp_path: Path) -> None:
    for epoch in (1, 2):
        torch.save({}, tmp_path / f"epoch_{epoch}.pth")
    (tmp_path / "last_checkpoint").write_text("epoch_1.pth")
    assert find_last_checkpoint(tmp_path) == tmp_path / "epoch_2.pth"


def test_later_epochs_of_an_older_run_are_not_the_newest(tmp_path: Path) -> None:
    for epoch, written in ((8, 100), (9, 200), (1, 300), (2, 400)):
        torch.save({}, tmp_path / f"epoch_{epoch}.pth")
        os.utime(tmp_path / f"epoch_{epoch}.pth", (written, written))
    (tmp_path / "last_checkpoint").write_text("epoch_2.pth")
    names = [path.name for path in checkpoints_newest_first(tmp_path)]
    assert names == ["epoch_2.pth", "epoch_1.pth"]


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "one bit"])
def test_a_damaged_file_is_passed_over(tmp_path: Path, damage: str) -> None:
    for epoch in (1, 2):
        torch.save({"weight": torch.ones(1000)}, tmp_path / f"epoch_{epoch}.pth")
    whole = (tmp_path / "epoch_2.pth").read_bytes()
    place = whole.index(b"\0\0\x80\x3f" * 8)  # ones in float32
    contents = {
        "cut": whole[:-1],
        "empty": b"",
        "zeros": bytes(len(whole)),
        "one bit": whole[:place] + b"\1" + whole[place + 1 :],
    }
    (tmp_path / "epoch_2.pth").write_bytes(contents[damage])
    (tmp_path / "last_checkpoint").write_text("epoch_2.pth")
    assert is_whole(tmp_path / "epoch_1.pth")
    assert find_last_checkpoint(tmp_path) == tmp_path / "epoch_1.pth"


def test_a_bare_pickle_is_not_passed_over_as_damaged(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "epoch_1.pth")
    (tmp_path / "epoch_2.pth").write_bytes(pickle.dumps({"code": print}))
    assert find_last_checkpoint(tmp_path) == tmp_path / "epoch_2.pth"


def test_a_noted_file_of_another_name_is_the_newest(tmp_path: Path) -> None:
    for name in ("epoch_1.pth", "weights.pth"):
        torch.save({}, tmp_path / name)
    (tmp_path / "last_checkpoint").write_text("/elsewhere/weights.pth")
    assert find_last_checkpoint(tmp_path) == tmp_path / "weights.pth"
