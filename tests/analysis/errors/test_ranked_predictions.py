"""AP of mixtures of images, against pycocotools on the same mixtures."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cellseg_mm.analysis.errors.image_matches import match_images
from cellseg_mm.analysis.errors.ranked_predictions import (
    RankedPredictions,
    coco_scores,
    rank_class,
)
from cellseg_mm.evaluation.annotations import index_annotations

CLASSES = ("a", "b")
SIZE = 40


def test_average_precision_by_hand():
    # Predictions by score: hit (image 0), miss (image 1), hit (image 1); one true cell in image 0
    # and two in image 1.
    ranked = RankedPredictions(
        image_index=np.array([0, 1, 1]),
        place=np.array([0, 0, 1]),
        hits=(np.array([0, 2]), np.array([], int)),
        truth_cells=np.array([1, 2]),
    )

    ap, recall = ranked.average_precision(np.array([1, 1]))
    # Precision 1 up to recall 1/3 (34 of the 101 recalls), 2/3 up to 2/3 (33 more), then 0.
    assert ap == pytest.approx([(34 + 33 * 2 / 3) / 101, 0])
    assert recall == pytest.approx([2 / 3, 0])

    # Image 0 twice: hits 1 and 2, then a miss and a hit: precision 1 up to recall 2/4 (51 of
    # 101), 3/4 up to 3/4 (25 more).
    ap, recall = ranked.average_precision(np.array([2, 1]))
    assert ap == pytest.approx([(51 + 25 * 3 / 4) / 101, 0])
    assert recall == pytest.approx([3 / 4, 0])

    # Image 1 alone: the hit comes second, precision 1/2 up to recall 1/2.
    ap, _ = ranked.average_precision(np.array([0, 1]))
    assert ap == pytest.approx([51 / 2 / 101, 0])


def test_without_truth_or_predictions():
    nothing = np.array([], int)
    no_truth = RankedPredictions(np.array([0]), np.array([0]), (nothing,), np.array([0, 0]))
    no_prediction = RankedPredictions(nothing, nothing, (nothing,), np.array([3]))

    assert np.isnan(no_truth.average_precision(np.array([1, 1]))[0]).all()
    assert no_prediction.average_precision(np.array([1]))[0].tolist() == [0]


def test_cap_keeps_the_best_of_each_image():
    ranked = RankedPredictions(
        image_index=np.array([0, 0, 1, 0]),
        place=np.array([0, 1, 0, 2]),
        hits=(np.array([1, 2, 3]),),
        truth_cells=np.array([3, 1]),
    )

    capped = ranked.capped(1)

    assert capped.image_index.tolist() == [0, 1]
    assert [hits.tolist() for hits in capped.hits] == [[1]]


def random_data(seed, images=4):
    """Discs with jittered predictions and some on nothing; scores without ties."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    annotations, predictions = [], []

    def disc(x, y, radius):
        inside = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
        rle = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
        return {"size": rle["size"], "counts": rle["counts"].decode()}, int(inside.sum())

    for image_id in range(1, images + 1):
        for _ in range(int(rng.integers(3, 9))):
            x, y, radius = *rng.uniform(5, SIZE - 5, 2), rng.uniform(3, 7)
            category = int(rng.integers(1, 3))
            rle, area = disc(x, y, radius)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "area": area,
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": 0,
                    "segmentation": rle,
                }
            )
            for _ in range(int(rng.integers(0, 4))):
                found = disc(*(np.array([x, y]) + rng.normal(0, 1, 2)), radius + rng.normal())
                if found[1]:
                    predictions.append(
                        {
                            "image_id": image_id,
                            "category_id": category if rng.random() < 0.8 else 3 - category,
                            "score": float(rng.random()),
                            "bbox": [0, 0, 1, 1],
                            "segmentation": found[0],
                        }
                    )
    content = {
        "images": [{"id": i, "height": SIZE, "width": SIZE} for i in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    return content, predictions


def stock_scores(content, predictions, weights):
    """pycocotools' numbers of a data set in which image i occurs weights[i] times."""
    images, annotations, results = [], [], []
    for image, weight in zip(content["images"], weights, strict=True):
        for copy in range(weight):
            image_id = 1000 * copy + image["id"]
            images.append(image | {"id": image_id})
            for source, target in ((content["annotations"], annotations), (predictions, results)):
                target += [
                    record | {"image_id": image_id, "id": len(target) + n + 1}
                    for n, record in enumerate(r for r in source if r["image_id"] == image["id"])
                ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content | {"images": images, "annotations": annotations}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.maxDets = [1, 100, 1000]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    recall = evaluation.eval["recall"][:, :, 0, 2]

    def mean(values):
        return values[values > -1].mean() if (values > -1).any() else float("nan")

    scores = {
        "mAP": mean(precision),
        "AP50": mean(precision[0]),
        "AP75": mean(precision[5]),
        "AR": mean(recall),
    }
    for c, name in enumerate(CLASSES):
        scores[f"AP_{name}"] = mean(precision[:, :, c])
        scores[f"AP50_{name}"] = mean(precision[0, :, c])
    return scores


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1]], ids=str)
def test_equals_pycocotools(seed, weights):
    content, predictions = random_data(seed)
    matches = match_images(index_annotations(content), predictions)
    rankings = [rank_class(matches, c) for c in range(2)]

    scores = coco_scores(rankings, CLASSES, np.array(weights))

    assert scores == pytest.approx(stock_scores(content, predictions, weights), nan_ok=True)
