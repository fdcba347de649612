"""Folders of ``cellseg segment``, read against the annotations of their images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pycocotools import mask as coco_mask

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import Annotations, index_annotations
from cellseg_mm.evaluation.predictions import load_predictions

LABELS = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [3, 3, 3, 2]], np.uint32)


@pytest.fixture
def annotations() -> Annotations:
    image = {"height": 3, "width": 4}
    return index_annotations(
        {
            "images": [
                {"id": 4, "file_name": "a.png"} | image,
                {"id": 9, "file_name": "b/c.tif"} | image,
            ],
            "annotations": [],
            "categories": [{"id": 1, "name": "round"}, {"id": 2, "name": "long"}],
        },
        "val.json",
    )


def write(stem: Path, labels: np.ndarray, *rows: tuple[Any, ...]) -> None:
    stem.parent.mkdir(exist_ok=True, parents=True)
    tifffile.imwrite(f"{stem}_labels.ome.tif", labels, ome=True)
    lines = ["id,class,score,x_px", *(",".join(map(str, (*row, ""))) for row in rows)]
    Path(f"{stem}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a", LABELS, (1, "long", 0.75), (2, "round", 0.5), (3, "round", 1))
    write(tmp_path / "b" / "c", np.zeros((3, 4), np.uint32))
    return tmp_path


def test_cells_by_name_of_image_and_class(folder: Path, annotations: Annotations) -> None:
    found = load_predictions(folder, annotations)
    assert [(p["image_id"], p["category_id"], p["score"]) for p in found] == [
        (4, 2, 0.75),
        (4, 1, 0.5),
        (4, 1, 1.0),
    ]
    for number, prediction in enumerate(found, start=1):
        assert np.array_equal(coco_mask.decode(prediction["segmentation"]), number == LABELS)
    assert [p["bbox"] for p in found] == [[0, 0, 2, 2], [3, 0, 1, 3], [0, 2, 3, 1]]


def test_results_may_lie_beside_each_other(folder: Path, annotations: Annotations) -> None:
    for path in (folder / "b").iterdir():
        path.rename(folder / path.name)
    assert len(load_predictions(folder, annotations)) == 3


def test_what_does_not_fit_is_one_sentence(folder: Path, annotations: Annotations) -> None:
    with pytest.raises(MissingFileError, match="do not exist"):
        load_predictions(folder)
    (folder / "b" / "c.csv").unlink()
    with pytest.raises(MissingFileError, match=r"no results of b/c\.tif"):
        load_predictions(folder, annotations)
    write(folder / "a", LABELS, (1, "long", 0.75), (2, "round", 0.5))
    with pytest.raises(UserError, match="hold other cells"):
        load_predictions(folder, annotations)
    write(folder / "a", LABELS[:2], (1, "long", 0.75), (2, "round", 0.5))
    with pytest.raises(UserError, match=r"is \[2, 4\], but the image in val\.json is \[3, 4\]"):
        load_predictions(folder, annotations)
    write(folder / "a", LABELS, (1, "long", 0.75), (2, "square", 0.5), (3, "round", 1))
    with pytest.raises(UserError, match=r"'square', but val\.json has the classes round, long"):
        load_predictions(folder, annotations)
    (folder / "a_labels.ome.tif").write_bytes(b"II*")
    with pytest.raises(UserError, match="results are damaged"):
        load_predictions(folder, annotations)
