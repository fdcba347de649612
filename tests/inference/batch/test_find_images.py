"""Which images are meant, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.inference.batch.find_images import NamedImage, name_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "a.tif", "notes.txt", ".hidden.png", "sub/a.png", "d/1.dcm"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "in" / "d" / "2.dcm").write_bytes(b"")
    return tmp_path / "in"


def names(images: list[NamedImage], folder: Path) -> list[str]:
    return [image.path.relative_to(folder).as_posix() for image in images]


def test_files_folders_and_patterns(folder: Path) -> None:
    assert names(name_images([folder]), folder) == ["a.JPG", "a.tif", "b.png"]
    everything = ["a.JPG", "a.tif", "b.png", "d/1.dcm", "sub/a.png"]
    assert names(name_images([folder], recursive=True), folder) == everything
    assert names(name_images([folder / "*.png"]), folder) == ["b.png"]
    # Each once, in the order of the arguments; a file that is named needs no known ending.
    found = name_images([folder / "notes.txt", folder / "b.png", folder])
    assert names(found, folder) == ["notes.txt", "b.png", "a.JPG", "a.tif"]


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.png does not exist"):
        name_images([folder / "none.png"])
    with pytest.raises(UserError, match="holds no image"):
        name_images([folder / "*.svs"])
    (folder.parent / "empty").mkdir()
    with pytest.raises(UserError, match="--recursive"):
        name_images([folder.parent / "empty"])


def test_results_are_called_like_their_images(folder: Path) -> None:
    named = name_images([folder], recursive=True)
    assert [image.name.as_posix() for image in named] == [
        *("a.JPG", "a.tif", "b", "d/1", "sub/a"),
    ]


def test_one_name_for_two_images_is_refused(folder: Path) -> None:
    other = folder.parent / "b.png"
    other.write_bytes(b"")
    with pytest.raises(UserError, match="have the same name"):
        name_images([folder / "b.png", other])
    assert [i.name.as_posix() for i in name_images([folder.parent], True)][:2] == ["b", "in/a.JPG"]
