"""The command line of prepare.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four train images with a blue cell each."""
    for index in range(4):
        folder = tmp_path / "raw" / "train" / f"image_{index}"
        folder.mkdir(parents=True)
        cells = np.zeros((20, 20), np.float64)
        cells[5:9, 4 + index : 10] = 3
        pixels = np.where(cells[..., None] > 0, [90, 70, 150], [210, 150, 190 + index])
        tifffile.imwrite(folder / "image.tif", pixels.astype(np.uint8), photometric="rgb")
        tifffile.imwrite(folder / "class1.tif", cells)
    return tmp_path / "raw"


@pytest.fixture
def prepare(run_python):
    return partial(run_python, "data_prep/prepare.py", timeout=120)


def test_summary(raw, tmp_path, prepare):
    result = prepare(raw, "--out", tmp_path / "out", "--classes", "cell, other", "--workers", 2)
    assert result.returncode == 0, result.stderr
    assert "train:     3 images  3 cell, 0 other" in result.stdout
    assert "raw channel order: rgb (vote; votes: 4 rgb, 0 bgr)" in result.stdout
    assert str(tmp_path / "out" / "audit.html") in result.stdout
    assert (tmp_path / "out" / "audit.html").is_file()
    train = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    assert [c["name"] for c in train["categories"]] == ["cell", "other"]
    assert "give --classes" not in result.stdout
    assumed = prepare(raw, "--out", tmp_path / "other")
    assert "nothing names those of class1.tif, class2.tif" in assumed.stdout


def test_bad_input_is_listed_whole(raw, tmp_path, prepare):
    (raw / "train" / "image_0" / "class1.tif").write_bytes(b"cut")
    (raw / "train" / "image_2" / "image.tif").unlink()
    result = prepare(raw, "--out", tmp_path / "out", "--workers", 2)
    assert result.returncode == 2
    assert "nothing was written: 2 problems." in result.stderr
    assert f"- {raw / 'train' / 'image_0' / 'class1.tif'}: not a TIFF file" in result.stderr
    assert f"- {raw / 'train' / 'image_2'}: it holds no image.tif" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--val-fraction", "2"], "--val-fraction is 2.0"),
        (["--folds", "3"], "--folds and --fold go together"),
        (["--fold", "0"], "--folds and --fold go together"),
        (["--folds", "3", "--fold", "0", "--val-fraction", "0.1"], "not allowed with"),
        (["--channel-order", "gbr"], "invalid choice"),
    ],
)
def test_bad_arguments(raw, tmp_path, prepare, args, complaint):
    result = prepare(raw, "--out", tmp_path / "out", *args)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_missing_folder(tmp_path, prepare):
    result = prepare(tmp_path / "absent", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "absent: this folder does not exist" in result.stderr


def test_help_needs_no_package(run_python):
    # No site-packages: only the standard library and this package may be imported.
    result = run_python("-S", "data_prep/prepare.py", "--help")
    assert result.returncode == 0, result.stderr
    assert "--channel-order {auto,rgb,bgr}" in result.stdout


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_an_interrupt_leaves_nothing_behind(raw, tmp_path, repository, sent, code):
    for index in range(4, 400):
        folder = raw / "train" / f"image_{index}"
        folder.mkdir()
        for name in ("image.tif", "class1.tif"):
            (folder / name).hardlink_to(raw / "train" / "image_0" / name)
    process = subprocess.Popen(
        [sys.executable, "data_prep/prepare.py", raw, "--out", tmp_path / "out", "--workers", "2"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stderr=subprocess.PIPE,
        text=True,
        # A job in a shell's background ignores Ctrl-C, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The working folder says that the work has begun.
    while not (tmp_path / ".out.unfinished").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"train/_annotations.coco.json": '{"images": [], "annotations": []}'}, "coco"),
        ({"a.json": '{"shapes": []}', "b.json": "{"}, "labelme"),
        ({"a.geojson.gz": "", "run.json": "{}"}, "qupath"),
        ({"images/a.tif": "", "masks/a.tif": ""}, "label-images"),
        ({"a.png": "", "a_seg.npy": ""}, "label-images"),
    ],
)
def test_files_of_a_tool_get_the_command_that_converts_them(tmp_path, files, name):
    from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
    from cellseg_mm.preparation.problems import InputError

    for place, text in files.items():
        path = tmp_path / "export" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        prepare_dataset(PrepareOptions(tmp_path / "export", tmp_path / "out"))
    (problem,) = caught.value.problems
    assert f"`python data_prep/convert.py {name} {tmp_path / 'export'} OUT`" in str(problem)


def test_a_file_in_place_of_a_raw_folder(tmp_path, prepare):
    path = tmp_path / "instances.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    result = prepare(path, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert f"convert.py coco {path} OUT" in result.stderr
