from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.files.whole_folder import whole_folder


def test_the_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a" / "out"
    with whole_folder(target) as scratch:
        (scratch / "file").write_text("x")
        assert not target.exists()
    assert (target / "file").read_text() == "x"
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    def write() -> None:
        with whole_folder(tmp_path / "a" / "b" / "out") as scratch:
            (scratch / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as scratch:
        (scratch / "file").touch()
    assert (tmp_path / "out" / "file").exists()


@pytest.mark.parametrize("kind", ["file", "full folder"])
def test_what_exists_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    kept = target if kind == "file" else target / "kept"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(UserError, match="out exists"), whole_folder(target):
        pass
    assert kept.read_text() == "mine"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    killed = (
        "import os, sys; from pathlib import Path\n"
        "from cellseg_mm.files.whole_folder import whole_folder\n"
        "with whole_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').touch(); os._exit(9)"
    )
    code = subprocess.run([sys.executable, "-c", killed, tmp_path / "out"]).returncode
    assert code == 9
    assert len(list(tmp_path.iterdir())) == 1
    with whole_folder(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "out",
        "out/file",
    ]


def test_two_processes_do_not_write_the_same_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as folder:
        (folder / "first").touch()
        refused = pytest.raises(UserError, match="Another process is writing")
        with refused, whole_folder(tmp_path / "out"):
            pass
    assert (tmp_path / "out" / "first").exists()
