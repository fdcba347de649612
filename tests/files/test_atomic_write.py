"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cellseg_mm.files.atomic_write import atomic_write, remove_unfinished


def test_a_file_appears_with_its_content_and_ordinary_permissions(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.json"
    before = os.umask(0o022)
    try:
        with atomic_write(target) as path:
            assert path.suffix == ".json"
            assert path.parent == target.parent
            path.write_text("x")
            assert not target.exists()
    finally:
        os.umask(before)
    assert target.read_text() == "x"
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write() -> None:
        with atomic_write(target) as path:
            path.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed_and_no_more(tmp_path: Path) -> None:
    killed = (
        "import os, sys; from cellseg_mm.files.atomic_write import atomic_write\n"
        "with atomic_write(sys.argv[1]) as path: path.write_text('half'); os._exit(9)"
    )
    code = subprocess.run([sys.executable, "-c", killed, tmp_path / "deep" / "a.pth"]).returncode
    assert code == 9
    (left,) = (tmp_path / "deep").iterdir()
    mine = [tmp_path / ".hidden", tmp_path / "deep" / "b.unfinished.pth"]
    for path in mine:
        path.write_text("of someone else")
    with atomic_write(tmp_path / "c.pth") as writing:
        remove_unfinished(tmp_path)
        assert not left.exists()
        writing.write_text("whole")
    assert (tmp_path / "c.pth").read_text() == "whole"
    assert all(path.is_file() for path in mine)


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = tempfile.mkstemp
    made = []

    def removed_at_once(**options: str) -> tuple[int, str]:
        descriptor, name = original(**options)
        if not made:
            os.unlink(name)
        made.append(name)
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", removed_at_once)
    with atomic_write(tmp_path / "a.txt") as path:
        path.write_text("x")
    assert len(made) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
