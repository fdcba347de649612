"""A folder is replaced only where nothing of anybody else would be lost."""

import pytest

from cellseg_mm.files.owned_folder import MANIFEST, replaced_folder


def write(target, *names):
    with replaced_folder(target) as folder:
        for name in names:
            (folder / name).write_text(name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_before_is_replaced(tmp_path):
    write(tmp_path / "a", "1.png", "2.png")
    write(tmp_path / "a", "3.png")

    assert names(tmp_path / "a") == ["3.png", MANIFEST]
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("ours", [False, True], ids=["their folder", "their file in our folder"])
def test_what_is_not_ours_stays(tmp_path, ours):
    target = tmp_path / "a"
    if ours:
        write(target, "1.png")
    target.mkdir(exist_ok=True)
    (target / "thesis.tex").write_text("years of work")
    before = names(target)

    with pytest.raises(ValueError, match=r"holds thesis\.tex, which was not written by an earlier"):
        write(target, "2.png")

    assert names(target) == before
    assert names(tmp_path) == ["a"]


def test_an_empty_folder_may_be_taken_and_a_file_may_not(tmp_path):
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", "1.png")
    assert names(tmp_path / "a") == ["1.png", MANIFEST]

    (tmp_path / "b").write_text("b")
    with pytest.raises(ValueError, match="not a folder"):
        write(tmp_path / "b", "1.png")


def test_an_error_changes_nothing(tmp_path):
    write(tmp_path / "a", "1.png")

    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a", "2.png", "no folder/3.png")

    assert names(tmp_path / "a") == ["1.png", MANIFEST]
    assert names(tmp_path) == ["a"]
