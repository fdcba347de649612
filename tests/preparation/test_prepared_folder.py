from __future__ import annotations

import json
from pathlib import Path

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.prepared_folder import FORMAT, replaced_folder
from cellseg_mm.preparation.problems import InputError


@pytest.fixture
def raw_folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def write(folder: Path, text: str) -> None:
    audit = {"format": FORMAT, "text": text, "images": [{"name": text}]}
    (folder / "audit.json").write_text(json.dumps(audit))


def text_of(folder: Path) -> str:
    return json.loads((folder / "audit.json").read_text())["text"]


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_new_output_with_new_parents(tmp_path, raw_folder):
    out = tmp_path / "a" / "b"
    with replaced_folder(out, raw_folder) as folder:
        write(folder, "first")
        assert not out.exists()
    assert text_of(out) == "first"
    assert everything(tmp_path) == {"raw", "a", "a/b", "a/b/audit.json"}


def test_replacement(tmp_path, raw_folder):
    out = tmp_path / "out"
    for text in ("first", "second"):
        with replaced_folder(out, raw_folder) as folder:
            write(folder, text)
            (folder / "images").mkdir()
            (folder / "images" / text).touch()
    assert text_of(out) == "second"
    assert everything(tmp_path) == {
        "raw", "out", "out/audit.json", "out/images", "out/images/second"
    }  # fmt: skip


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_nothing_is_left(tmp_path, raw_folder, error):
    def fail(out: Path) -> None:
        with replaced_folder(out, raw_folder) as folder:
            write(folder, "half")
            raise error

    with pytest.raises(error):
        fail(tmp_path / "a" / "b")
    assert everything(tmp_path) == {"raw"}
    with replaced_folder(tmp_path / "out", raw_folder) as folder:
        write(folder, "first")
    with pytest.raises(error):
        fail(tmp_path / "out")
    assert text_of(tmp_path / "out") == "first"
    assert everything(tmp_path) == {"raw", "out", "out/audit.json"}


def test_a_failed_exchange_puts_the_earlier_output_back(tmp_path, raw_folder, monkeypatch):
    out = tmp_path / "out"
    with replaced_folder(out, raw_folder) as folder:
        write(folder, "first")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk failure")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with (
        pytest.raises(OSError, match="disk failure"),
        replaced_folder(out, raw_folder) as folder,
    ):
        write(folder, "second")
    assert text_of(out) == "first"
    assert everything(tmp_path) == {"raw", "out", "out/audit.json"}


def test_after_a_kill_in_the_exchange_the_earlier_output_comes_back(tmp_path, raw_folder):
    # As a power cut between the two renames would leave it.
    work = tmp_path / ".out.unfinished"
    (work / "old").mkdir(parents=True)
    write(work / "old", "first")
    (work / "new").mkdir()
    with pytest.raises(ValueError, match="x"), replaced_folder(tmp_path / "out", raw_folder):
        raise ValueError("x")
    assert text_of(tmp_path / "out") == "first"
    assert everything(tmp_path) == {"raw", "out", "out/audit.json"}


def test_two_runs_at_once(tmp_path, raw_folder):
    out = tmp_path / "out"
    with replaced_folder(out, raw_folder) as folder:
        with (
            pytest.raises(UserError, match="Another process is writing"),
            replaced_folder(out, raw_folder),
        ):
            pass
        write(folder, "first")
    assert text_of(out) == "first"


def test_other_folders_are_refused_and_kept(tmp_path, raw_folder):
    def refuses(out: Path, complaint: str) -> None:
        before = everything(tmp_path)
        with pytest.raises(InputError, match=complaint), replaced_folder(out, raw_folder):
            pytest.fail("went on")
        assert everything(tmp_path) == before

    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").touch()
    refuses(home, "'letter.txt', which is no part of a prepared data set")
    (home / "audit.json").write_text(json.dumps({"format": FORMAT}))
    refuses(home, "'letter.txt'")
    pictures = tmp_path / "pictures"
    (pictures / "images").mkdir(parents=True)
    refuses(pictures, "not empty, and no audit.json shows")
    (pictures / "audit.json").write_text("[]")
    refuses(pictures, "not empty, and no audit.json shows")
    with replaced_folder(tmp_path / "out", raw_folder) as folder:
        write(folder, "first")
        (folder / "labels").mkdir()
    (tmp_path / "out" / "labels" / "notes.tif").touch()
    refuses(tmp_path / "out", "'labels/notes.tif', which is no part of a prepared data set")
    refuses(home / "letter.txt", "it is a file")
    refuses(raw_folder, "overlaps with the raw folder")
    refuses(raw_folder / "out", "overlaps with the raw folder")
    refuses(tmp_path, "overlaps with the raw folder")


def test_an_empty_folder_or_one_with_splits_alone_is_fine(tmp_path, raw_folder):
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(2):
        with replaced_folder(out, raw_folder) as folder:
            (folder / "splits").mkdir()
    assert everything(out) == {"splits"}


def test_a_link_to_another_disk_stays(tmp_path, raw_folder):
    (tmp_path / "big").mkdir()
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "big" / "cells")
    with replaced_folder(out, raw_folder) as folder:
        write(folder, "first")
    assert out.is_symlink()
    assert text_of(tmp_path / "big" / "cells") == "first"
