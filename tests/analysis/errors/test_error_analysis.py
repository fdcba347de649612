"""Confusions, kinds of error and the worst cells on a scene that was judged by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.analysis.errors.confusion_matrix import confusion_matrix
from cellseg_mm.analysis.errors.error_analysis import analyse_errors, worst_images
from cellseg_mm.analysis.errors.error_kinds import (
    ErrorKind,
    ap_gains,
    count_errors,
    find_errors,
    worst_cells,
)
from cellseg_mm.analysis.errors.image_matches import match_images
from cellseg_mm.evaluation.annotations import Annotations, index_annotations
from cellseg_mm.evaluation.predictions import Prediction

CLASSES = ("a", "b")


def rle(top: int, left: int, height: int, width: int) -> dict[str, Any]:
    bitmap = np.zeros((40, 40), np.uint8, order="F")
    bitmap[top : top + height, left : left + width] = 1
    return {"size": [40, 40], "counts": coco_mask.encode(bitmap)["counts"].decode()}


def prediction(
    category_id: int, score: float, box: tuple[int, int, int, int], image_id: int = 1
) -> Prediction:
    return Prediction(
        image_id=image_id,
        category_id=category_id,
        score=score,
        segmentation=rle(*box),
        bbox=[0.0, 0.0, 0.0, 0.0],
    )


@pytest.fixture
def annotations() -> Annotations:
    """Image 1: cells 1 to 4 of class a, cell 5 of class b. Image 2: cell 6. Image 3: nothing."""
    boxes = [(0, 0, 8, 8), (0, 20, 8, 8), (20, 0, 8, 8), (20, 20, 8, 8), (30, 30, 8, 8)]
    cells = [(1, 1, b) for b in boxes[:4]] + [(1, 2, boxes[4]), (2, 1, (0, 0, 10, 10))]
    return index_annotations(
        {
            "images": [
                {"id": i, "height": 40, "width": 40, "file_name": f"train/{i}.png"}
                for i in (1, 2, 3)
            ],
            "annotations": [
                {"id": n, "image_id": i, "category_id": c, "segmentation": rle(*b)}
                for n, (i, c, b) in enumerate(cells, start=1)
            ],
            "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        }
    )


@pytest.fixture
def predictions() -> list[Prediction]:
    return [
        prediction(1, 0.6, (0, 0, 8, 7)),  # 0: duplicate of cell 1, IoU 7/8
        prediction(1, 0.9, (0, 0, 8, 8)),  # 1: right
        prediction(2, 0.8, (0, 20, 8, 8)),  # 2: wrong class, cell 2
        prediction(1, 0.7, (20, 0, 8, 3)),  # 3: poor outline of cell 3, IoU 3/8
        prediction(1, 0.95, (10, 30, 4, 4)),  # 4: background
        prediction(1, 0.2, (20, 20, 8, 8)),  # 5: cell 4, but not sure
        prediction(1, 0.5, (30, 30, 8, 1)),  # 6: poor outline of cell 5, another class, IoU 1/8
        prediction(1, 0.9, (0, 0, 10, 10), image_id=2),  # 7: right
    ]


def test_each_error_has_the_expected_kind(
    annotations: Annotations, predictions: list[Prediction]
) -> None:
    errors = find_errors(match_images(annotations, predictions), CLASSES)
    found = {e.row: (e.kind, e.annotation_id, e.iou) for e in errors if e.row is not None}
    assert found == {
        0: (ErrorKind.DUPLICATE, 1, 7 / 8),
        2: (ErrorKind.WRONG_CLASS, 2, 1.0),
        3: (ErrorKind.POOR_OUTLINE, 3, 3 / 8),
        4: (ErrorKind.BACKGROUND, None, 0.0),
        6: (ErrorKind.POOR_OUTLINE, 5, 1 / 8),
    }
    (missed,) = (e for e in errors if e.kind is ErrorKind.MISSED)
    assert (missed.annotation_id, missed.truth_class, missed.box) == (4, "a", (20, 20, 8, 8))
    assert missed.score is None
    wrong = next(e for e in errors if e.row == 2)
    assert (wrong.truth_class, wrong.predicted_class, wrong.box) == ("a", "b", (20, 0, 8, 8))
    assert count_errors(errors, CLASSES) == {
        ErrorKind.WRONG_CLASS: {"a": 0, "b": 1},
        ErrorKind.POOR_OUTLINE: {"a": 2, "b": 0},
        ErrorKind.DUPLICATE: {"a": 1, "b": 0},
        ErrorKind.BACKGROUND: {"a": 1, "b": 0},
        ErrorKind.MISSED: {"a": 1, "b": 0},
    }


def test_confusion_matrix(annotations: Annotations, predictions: list[Prediction]) -> None:
    matrix = confusion_matrix(match_images(annotations, predictions), len(CLASSES))
    # Rows a, b, spurious; columns a, b, missed. Spurious: 0, 3, 4, 6. Missed: 3, 4, and 5 of b.
    assert matrix.tolist() == [[2, 1, 2], [0, 0, 1], [4, 0, 0]]
    everything = confusion_matrix(match_images(annotations, predictions), 2, score_threshold=0)
    assert everything.tolist() == [[3, 1, 1], [0, 0, 1], [4, 0, 0]]


def test_gains_of_mending_by_hand(annotations: Annotations) -> None:
    # One class, cells 1 to 4 and 6: hits 0.9 and 0.8, background 0.95. AP: envelope 2/3 up to
    # recall 0.4, that is 41 of 101 points.
    predictions = [
        prediction(1, 0.95, (10, 30, 4, 4)),
        prediction(1, 0.9, (0, 0, 8, 8)),
        prediction(1, 0.8, (0, 20, 8, 8)),
        prediction(1, 0.1, (20, 0, 8, 3)),  # poor outline of cell 3
    ]
    gains = ap_gains(match_images(annotations, predictions), num_classes=1 + 1)
    before = (41 * 2 / 3 / 101 + 0) / 2  # class b has truth, but no predictions
    assert gains[ErrorKind.BACKGROUND] == pytest.approx(41 / 101 / 2 - before)
    # A third hit, rank 4: precision 3/4 up to recall 0.6.
    assert gains[ErrorKind.POOR_OUTLINE] == pytest.approx(61 * 3 / 4 / 101 / 2 - before)
    assert gains[ErrorKind.DUPLICATE] == gains[ErrorKind.WRONG_CLASS] == 0
    # Cells 4 and 6 leave the truth, and so does the only cell of class b, which has no AP then.
    assert gains[ErrorKind.MISSED] == pytest.approx(67 * 2 / 3 / 101 - before)


def test_worst_images_come_first(annotations: Annotations, predictions: list[Prediction]) -> None:
    images = worst_images(match_images(annotations, predictions))
    assert [image.image_id for image in images] == [1, 2]  # image 3 has no cells, so no PQ
    # Cells 1 and 2 match (all cells as one class); the duplicate keeps none of its pixels. Left are
    # 5 predictions and 5 cells.
    worst, best = (image.statistics for image in images)
    assert worst.binary_pq == pytest.approx(2 / 5)
    assert (worst.truth_cells[0], worst.predicted_cells[0], worst.matched[0]) == (5, 5, 2)
    assert best.binary_pq == 1


def test_worst_cells_are_ranked_within_their_kind(annotations: Annotations) -> None:
    predictions = [
        prediction(1, 0.6, (10, 30, 4, 4)),
        prediction(1, 0.9, (10, 20, 4, 4)),
        prediction(1, 0.7, (20, 0, 8, 3)),
        prediction(1, 0.7, (0, 20, 8, 2)),
    ]
    errors = find_errors(match_images(annotations, predictions), CLASSES)
    worst = worst_cells(errors, number=2)
    assert [e.row for e in worst[ErrorKind.BACKGROUND]] == [1, 0]
    assert [e.row for e in worst[ErrorKind.POOR_OUTLINE]] == [3, 2]
    assert [e.annotation_id for e in worst[ErrorKind.MISSED]] == [6, 1]  # the largest first


def test_the_parts_of_an_analysis(annotations: Annotations, predictions: list[Prediction]) -> None:
    analysis = analyse_errors(annotations, predictions)
    assert analysis.confusion.tolist() == [[2, 1, 2], [0, 0, 1], [4, 0, 0]]
    assert analysis.error_counts[ErrorKind.WRONG_CLASS] == {"a": 0, "b": 1}
    assert analysis.by_size[-1].high == float("inf")
    assert analysis.worst[ErrorKind.MISSED][0].annotation_id == 4


def test_without_predictions(annotations: Annotations) -> None:
    analysis = analyse_errors(annotations, [])
    assert analysis.confusion.tolist() == [[0, 0, 5], [0, 0, 1], [0, 0, 0]]
    assert [ranking.ap() for ranking in analysis.rankings] == [0, 0]
    assert len(analysis.worst[ErrorKind.MISSED]) == 6


def test_foreign_predictions_are_refused(annotations: Annotations) -> None:
    with pytest.raises(ValueError, match="Prediction 0 is of image 9"):
        match_images(annotations, [prediction(1, 0.5, (0, 0, 2, 2), image_id=9)])
