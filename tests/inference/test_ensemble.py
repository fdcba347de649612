"""Files of predictions fused to one, as a user does it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.inference.ensemble import fuse_predictions

HEIGHT, WIDTH = 20, 30


def record(image_id: int, category_id: int, score: float, box: tuple[int, ...]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
    bitmap[y1:y2, x1:x2] = 1
    rle = coco_mask.encode(np.asfortranarray(bitmap))
    return {
        "image_id": image_id,
        "category_id": category_id,
        "score": score,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "segmentation": {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()},
    }


CELL = record(4, 3, 0.9, (2, 3, 12, 13))
LONE = record(8, 7, 0.6, (1, 1, 6, 6))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The annotations and two predictions."""
    image = {"file_name": "1.png", "height": HEIGHT, "width": WIDTH}
    contents: dict[str, Any] = {
        "ann.json": {
            "images": [{"id": 4} | image, {"id": 8} | image],
            "annotations": [],
            "categories": [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}],
        },
        "one.json": [CELL, LONE],
        "two.json": [record(4, 3, 0.5, (3, 3, 13, 13)), record(4, 7, 0.4, (3, 3, 13, 13))],
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    return [str(tmp_path / name) for name in contents]


def test_two_files(files: list[str], tmp_path: Path) -> None:
    annotations, *predictions = files
    out = tmp_path / "out.json"
    numbers = fuse_predictions(predictions, annotations, str(out))
    assert numbers == {"images": 2, "detections": 3}
    first, second, third = json.loads(out.read_text())
    # Where the two models disagree, the better score decides; the box is their mean.
    assert first == record(4, 3, 0.7, (2, 3, 12, 13)) | {"bbox": [2.5, 3, 10, 10]}
    assert second == record(4, 7, 0.2, (3, 3, 13, 13))
    assert third == record(8, 7, 0.3, (1, 1, 6, 6))


def test_a_file_with_itself(files: list[str], tmp_path: Path) -> None:
    annotations, one, _ = files
    out = tmp_path / "out.json"
    fuse_predictions([one, one, one], annotations, str(out))
    assert json.loads(out.read_text()) == [CELL, LONE]


def test_as_many_are_kept_as_a_file_has_in_an_image(tmp_path: Path) -> None:
    # 1,200 cells of one column, none on another's: 1,100 are in one file, the others in the other.
    image = {"id": 1, "file_name": "1.png", "height": 1, "width": 2400}
    categories = [{"id": 1, "name": "a"}]
    contents: dict[str, Any] = {
        "ann.json": {"images": [image], "annotations": [], "categories": categories}
    }
    cells = []
    for column in range(1200):
        runs = {"size": [1, 2400], "counts": [2 * column, 1, 2399 - 2 * column]}
        score = 0.9 - column / 2400
        cells.append(
            {"image_id": 1, "category_id": 1, "score": score, "segmentation": runs, "bbox": [0] * 4}
        )
    contents |= {"one.json": cells[:1100], "two.json": cells[1100:]}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    annotations, *predictions = [str(tmp_path / name) for name in contents]
    for cap, expected in ((None, 1100), (1150, 1150)):
        numbers = fuse_predictions(
            predictions, annotations, str(tmp_path / "out.json"), max_per_image=cap
        )
        assert numbers["detections"] == expected


def test_bad_files_are_sentences(files: list[str], tmp_path: Path) -> None:
    annotations, one, _ = files
    with pytest.raises(FileNotFoundError, match=r"missing\.json do not exist"):
        fuse_predictions([one, "missing.json"], annotations, str(tmp_path / "out.json"))
    with pytest.raises(ValueError, match=r"out\.txt must end in \.json"):
        fuse_predictions([one], annotations, "out.txt")
    assert not list(tmp_path.glob("*out*"))


def test_the_command_writes_a_submission(
    run_python: Callable[..., CompletedProcess[str]], files: list[str], tmp_path: Path
) -> None:
    annotations, *predictions = files
    out = tmp_path / "out.zip"
    command = ["tools/ensemble.py", *predictions, "--ann-file", annotations, "--out", out]
    failed = run_python(*command, "--merge-iou", 0)
    assert failed.returncode == 2
    assert "--merge-iou must lie above 0" in failed.stderr
    result = run_python(*command)
    assert result.returncode == 0, result.stderr
    assert "3 cells in 2 images" in result.stdout
    assert len(json.loads(zipfile.ZipFile(out).read("test-results.json"))) == 3
