"""Cells that a model finds without a label become ignored ones, in the training images alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.unlabelled_cells import UnlabelledCells
from cellseg_mm.structures.planes import read_planes


def found_in(folder: Path, name: str, labels: np.ndarray, scores: list[float]) -> None:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / f"{name}_labels.ome.tif", labels)
    rows = [f"{number},round,{score}" for number, score in enumerate(scores, start=1)]
    (folder / f"{name}.csv").write_text("\n".join(["id,class,score", *rows]) + "\n")


def test_confident_detections_without_a_label_are_ignored(
    tmp_path: Path, raw: Any, make_tissue: Any
) -> None:
    mask = np.zeros((40, 60), np.uint16)
    mask[10:20, 10:20] = 1
    for name in ("x", "y"):
        raw.add_train(name, make_tissue(mask > 0, seed=ord(name)), {1: mask})
    labels = np.zeros((40, 60), np.uint16)
    labels[12:20, 12:22] = 1  # the labelled cell, badly outlined
    labels[30:40, 30:40] = 2  # a cell without a label
    labels[0:10, 50:60] = 3  # one more, too doubtful
    labels[19:30, 0:20] = 4  # 10 of its 220 pixels are labelled
    found = tmp_path / "found"
    for name in ("x", "y"):
        found_in(found, name, labels, [0.9, 0.6, 0.59, 0.8])
    out = tmp_path / "cell"
    audit = prepare_dataset(
        PrepareOptions(
            raw=tmp_path / "raw",
            out=out,
            classes=("a", "b"),
            unlabelled=UnlabelledCells(found, 0.6),
            folds=2,
            channel_order="rgb",
        )
    )
    assert audit["ignored"] == {"train": 2, "val": 0, "test": 0}
    content = json.loads((out / "annotations" / "train.json").read_text())
    assert [
        (a["category_id"], a["iscrowd"], a["area"], a["bbox"]) for a in content["annotations"]
    ] == [
        (1, 0, 100, [10, 10, 10, 10]),
        (1, 1, 100, [30, 30, 10, 10]),
        (2, 1, 100, [30, 30, 10, 10]),
        (1, 1, 210, [0, 19, 20, 11]),
        (2, 1, 210, [0, 19, 20, 11]),
    ]
    planes = read_planes(out / "labels" / content["images"][0]["label_file"])
    assert np.bincount(planes.ravel())[1:].tolist() == [100, 100, 210]
    assert all(
        not a["iscrowd"]
        for a in json.loads((out / "annotations" / "val.json").read_text())["annotations"]
    )


def test_missing_results_and_bad_scores(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"has no results of x\.png"):
        UnlabelledCells(tmp_path, 0.5).of_images(["x"])
    with pytest.raises(UserError, match="--min-score is 60"):
        UnlabelledCells(tmp_path, 60)
