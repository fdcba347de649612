from __future__ import annotations

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
