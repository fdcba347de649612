"""AP and curves against pycocotools, on cells and predictions that overlap at random."""

from __future__ import annotations

import contextlib
import io
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cellseg_mm.analysis.errors.average_precision import binned_precision, rank_predictions
from cellseg_mm.analysis.errors.image_matches import ImageMatches, match_images
from cellseg_mm.evaluation.annotations import index_annotations

SIZE = 60
CLASSES = ("a", "b", "c")
EDGES = (0.0, 40.0, 80.0, 1e5)


def rle(box: npt.NDArray[np.int64]) -> dict[str, Any]:
    y, x, h, w = box
    bitmap = np.zeros((SIZE, SIZE), np.uint8, order="F")
    bitmap[max(y, 0) : y + h, max(x, 0) : x + w] = 1
    return {"size": [SIZE, SIZE], "counts": coco_mask.encode(bitmap)["counts"].decode()}


def scene(seed: int, classes_with_truth: int = 3) -> tuple[dict[str, Any], list[Any]]:
    """Three images of 25 cells with 40 predictions each, many with equal scores."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    predictions = []
    for image_id in (1, 2, 3):
        boxes = np.concatenate([rng.integers(0, 50, (25, 2)), rng.integers(4, 12, (25, 2))], 1)
        classes = rng.integers(1, classes_with_truth + 1, 25)
        for box, c in zip(boxes, classes, strict=True):
            mask = rle(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(c),
                    "segmentation": mask,
                    "area": int(coco_mask.area(mask)),
                    "bbox": coco_mask.toBbox(mask).tolist(),
                    "iscrowd": 0,
                }
            )
        for _ in range(40):
            k = rng.integers(25)
            mask = rle(boxes[k] + rng.integers(-1, 2, 4))
            predictions.append(
                {
                    "image_id": image_id,
                    "category_id": int(classes[k] if rng.random() < 0.8 else rng.integers(1, 4)),
                    "score": float(rng.integers(1, 12) / 12),
                    "segmentation": mask,
                    "bbox": coco_mask.toBbox(mask).tolist(),
                }
            )
    data = {
        "images": [{"id": i, "height": SIZE, "width": SIZE, "file_name": ""} for i in (1, 2, 3)],
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES, start=1)],
    }
    return data, predictions


def reference(data: dict[str, Any], predictions: list[Any], iou: float) -> npt.NDArray[np.float64]:
    """pycocotools' AP as (class, area range); the first range is everything, NaN without truth."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(predictions), "segm")
        evaluation.params.iouThrs = np.array([iou])
        evaluation.params.maxDets = [1000]
        # COCO's ranges are closed; areas are integers.
        evaluation.params.areaRng = [
            [0, 1e9],
            *([a, b - 0.5] for a, b in pairwise(EDGES)),
        ]
        evaluation.params.areaRngLbl = ["all", "1", "2", "3"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, :, 0].mean(axis=0)
    return np.where(precision < 0, np.nan, precision)


def matches(data: dict[str, Any], predictions: list[Any]) -> list[ImageMatches]:
    return match_images(index_annotations(data), predictions)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_ap_equals_pycocotools(seed: int, iou: float) -> None:
    data, predictions = scene(seed, classes_with_truth=2 if seed == 0 else 3)
    expected = reference(data, predictions, iou)
    images = matches(data, predictions)
    found = [rank_predictions(images, c, iou).ap() for c in range(len(CLASSES))]
    np.testing.assert_allclose(found, expected[:, 0])
    bins = binned_precision(images, len(CLASSES), "areas", EDGES, iou)
    np.testing.assert_allclose([b.ap_by_class for b in bins], expected[:, 1:].T)
    assert sum(b.truth_cells for b in bins) == 75


def test_curve_by_hand() -> None:
    # Two cells of class a; predictions: hit (0.9), background (0.8), hit (0.7).
    data, _ = scene(0)
    boxes = [np.array(b) for b in ((0, 0, 8, 8), (20, 20, 8, 8), (40, 40, 8, 8))]
    data["annotations"] = [
        {"id": i, "image_id": 1, "category_id": 1, "segmentation": rle(box)}
        for i, box in enumerate(boxes[:2], start=1)
    ]
    predictions = [
        {"image_id": 1, "category_id": 1, "score": s, "segmentation": rle(b), "bbox": []}
        for s, b in ((0.7, boxes[1]), (0.9, boxes[0]), (0.8, boxes[2]))
    ]
    ranking = rank_predictions(matches(data, predictions), 0, 0.5)
    scores, precision, recall = ranking.curve()
    assert scores.tolist() == [0.9, 0.8, 0.7]
    assert precision.tolist() == [1, 1 / 2, 2 / 3]
    assert recall.tolist() == [0.5, 0.5, 1]
    assert ranking.ap() == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert ranking.truth_cells == 2


def test_crowding_counts_true_neighbours() -> None:
    # Three cells 10 pixels apart and one far away; only the far one and one of the three are found.
    data, _ = scene(0)
    boxes = [np.array(b) for b in ((0, 0, 5, 5), (0, 10, 5, 5), (10, 0, 5, 5), (50, 50, 5, 5))]
    data["annotations"] = [
        {"id": i, "image_id": 1, "category_id": 1, "segmentation": rle(box)}
        for i, box in enumerate(boxes, start=1)
    ]
    predictions = [
        {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": rle(b), "bbox": []}
        for b in (boxes[0], boxes[3])
    ]
    images = match_images(index_annotations(data), predictions)
    assert images[0].truth_crowding.tolist() == [2, 2, 2, 0]
    assert images[0].crowding.tolist() == [2, 0]
    alone, crowded = binned_precision(images, len(CLASSES), "crowding", (0, 1, 10))
    assert (alone.truth_cells, alone.ap, alone.recall) == (1, 1, 1)
    assert (crowded.truth_cells, crowded.recall) == (3, 1 / 3)
    assert crowded.ap == pytest.approx(34 / 101)
