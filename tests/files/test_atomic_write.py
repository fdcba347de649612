"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cellseg_mm.files.atomic_write import atomic_write


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
