"""Least scores on a scene that was counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.analysis.errors.min_scores import ClassMinScores, at_least, choose_min_scores
from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import Annotations, index_annotations
from cellseg_mm.evaluation.predictions import Prediction


def square(top: int, left: int) -> dict[str, Any]:
    bitmap = np.zeros((40, 40), np.uint8, order="F")
    bitmap[top : top + 8, left : left + 8] = 1
    return {"size": [40, 40], "counts": coco_mask.encode(bitmap)["counts"].decode()}


def prediction(category: int, score: float, top: int, left: int) -> Prediction:
    return Prediction(
        image_id=1,
        category_id=category,
        score=score,
        segmentation=square(top, left),
        bbox=[0.0] * 4,
    )


@pytest.fixture
def annotations() -> Annotations:
    """Four cells of class a, one of class b, none of class c, and one to ignore."""
    cells = [(1, 0, 0), (1, 0, 20), (1, 20, 0), (1, 20, 20), (2, 30, 30)]
    return index_annotations(
        {
            "images": [{"id": 1, "height": 40, "width": 40, "file_name": "1.png"}],
            "annotations": [
                {"id": n, "image_id": 1, "category_id": c, "segmentation": square(top, left)}
                for n, (c, top, left) in enumerate(cells, start=1)
            ]
            + [
                {"id": 6, "image_id": 1, "category_id": 1, "segmentation": square(10, 10)}
                | {"iscrowd": 1}
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate("abc", start=1)],
        }
    )


PREDICTIONS = [
    prediction(1, 0.9, 0, 0),
    prediction(1, 0.8, 0, 20),
    prediction(1, 0.7, 10, 20),  # background
    prediction(1, 0.65, 10, 10),  # on the ignored cell: neither right nor wrong
    prediction(1, 0.6, 20, 0),
    prediction(1, 0.3, 0, 1),  # lies under the first, so is not in the label map
    prediction(1, 0.2, 10, 30),  # background
    prediction(2, 0.95, 20, 20),  # wrong class
    prediction(2, 0.5, 30, 30),
]


def test_best_f1_and_equal_counts(annotations: Annotations) -> None:
    chosen = choose_min_scores((annotations, PREDICTIONS))
    # Of a, 2 of 3, then 3 of 4, then 3 of 5 cells of the map are right: F1 4/7, 6/8, 6/9.
    # Of b, none of 1, then 1 of 2: F1 0, 2/3.
    assert chosen == {
        "a": ClassMinScores(best=0.21, f1=0.75, found=4, equal_counts=0.21, cells=4),
        "b": ClassMinScores(
            best=0.05, f1=pytest.approx(2 / 3), found=2, equal_counts=0.51, cells=1
        ),
    }


def test_images_without_predictions_count(annotations: Annotations) -> None:
    assert choose_min_scores((annotations, []))["a"].f1 == 0


def test_folds_count_as_one_set_of_images(annotations: Annotations) -> None:
    alone = choose_min_scores((annotations, PREDICTIONS))["a"]
    twice = choose_min_scores((annotations, PREDICTIONS), (annotations, PREDICTIONS))["a"]
    assert (twice.best, twice.f1) == (alone.best, alone.f1)
    assert (twice.found, twice.cells) == (2 * alone.found, 2 * alone.cells)
    # Of eight cells, a fold without predictions leaves four: 6/12 of them right.
    half = choose_min_scores((annotations, PREDICTIONS), (annotations, []))["a"]
    assert half == ClassMinScores(best=0.21, f1=0.5, found=4, equal_counts=0.05, cells=8)


def test_folds_have_the_same_classes(annotations: Annotations) -> None:
    other = replace(annotations, categories={1: "a", 2: "b", 3: "d"})
    with pytest.raises(UserError, match="a, b, d"):
        choose_min_scores((annotations, []), (other, []))


def test_predictions_reach_the_score_of_their_class(annotations: Annotations) -> None:
    kept = at_least(annotations, PREDICTIONS, {"a": 0.7, "b": 0.5, "c": 0.5})
    assert [p["score"] for p in kept] == [0.9, 0.8, 0.7, 0.95, 0.5]
    with pytest.raises(UserError, match="class c"):
        at_least(annotations, PREDICTIONS, {"a": 0.7, "b": 0.5})
