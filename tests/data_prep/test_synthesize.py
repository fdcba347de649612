from __future__ import annotations

import json
import uuid
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile


@pytest.fixture(scope="module")
def run(run_python):
    return partial(run_python, "data_prep/synthesize.py", timeout=60)


ARGUMENTS = ("--images", 8, "--test-images", 2, "--size", 128, "--cells", 12, "--seed", 3)


@pytest.fixture(scope="module")
def raw(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthesize") / "raw"
    done = run(out, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return out


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_arguments_same_bytes(run, raw: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "again", *ARGUMENTS).returncode == 0
    assert _contents(tmp_path / "again") == _contents(raw)
    assert run(tmp_path / "other", *ARGUMENTS[:-1], 4).returncode == 0
    assert not _contents(tmp_path / "other").keys() & {
        name for name in _contents(raw) if name != "test_image_name_to_ids.json"
    }


def test_images_and_masks(raw: Path) -> None:
    folders = list((raw / "train").iterdir())
    assert len(folders) == 8
    absent = 0
    for folder in folders:
        assert uuid.UUID(folder.name).version == 4
        image = tifffile.imread(folder / "image.tif")
        assert image.dtype == np.uint8
        assert (image[..., 3] == 255).all()
        assert 128 in image.shape[:2]
        assert all(96 <= side <= 160 for side in image.shape[:2])
        tissue = np.ones(image.shape[:2], bool)
        seen: set[float] = set()
        masks = [folder / f"class{k}.tif" for k in (1, 2, 3, 4)]
        absent += sum(not mask.exists() for mask in masks)
        for mask in filter(Path.exists, masks):
            labels = tifffile.imread(mask)
            assert labels.dtype == np.float64
            assert labels.shape == image.shape[:2]
            tissue &= labels == 0
            ids = set(np.unique(labels)) - {0}
            assert ids
            assert not ids & seen
            seen |= ids
        # Between the cells it is pink, so red is the third channel of the file.
        blue, green, red, _ = image[tissue].mean(0)
        assert red > blue > green
    assert absent > 0


def test_test_split(raw: Path) -> None:
    listed = json.loads((raw / "test_image_name_to_ids.json").read_text())
    assert [entry["id"] for entry in listed] == [1, 2]
    assert {entry["file_name"] for entry in listed} == {
        path.name for path in (raw / "test_release").iterdir()
    }
    for entry in listed:
        image = tifffile.imread(raw / "test_release" / entry["file_name"])
        assert image.shape == (entry["height"], entry["width"], 4)
        truth = list((raw / "test_gt" / Path(entry["file_name"]).stem).iterdir())
        assert truth
        assert all(tifffile.imread(path).shape == image.shape[:2] for path in truth)


def test_a_full_folder_is_refused(run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    done = run(tmp_path / "out", *ARGUMENTS)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


@pytest.mark.parametrize("wrong", [("--size", 31), ("--images", -1), ("--cells", "x")])
def test_nonsense_is_refused(run, tmp_path: Path, wrong: tuple[str, object]) -> None:
    done = run(tmp_path / "out", *wrong)
    assert done.returncode == 2
    assert wrong[0] in done.stderr
    assert list(tmp_path.iterdir()) == []
