"""Cell metrics against values worked out by hand and against a brute-force scorer."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from cellseg_mm.evaluation.cell_metrics import (
    ImageStatistics,
    _one_to_one_pairs,
    cell_metrics,
    image_statistics,
)
from cellseg_mm.evaluation.overlap_pairs import overlap_pairs

CLASSES = ("a", "b", "c")


def label_map(*rectangles: tuple[int, int, int, int]) -> npt.NDArray[np.int32]:
    """10 × 10 map with cells 1, 2, … given as (top, bottom, left, right), half-open."""
    canvas = np.zeros((10, 10), np.int32)
    for i, (top, bottom, left, right) in enumerate(rectangles, start=1):
        canvas[top:bottom, left:right] = i
    return canvas


def score(
    truth: npt.NDArray[np.int32],
    prediction: npt.NDArray[np.int32],
    truth_classes: list[int],
    predicted_classes: list[int],
    classes: tuple[str, ...] = CLASSES,
) -> ImageStatistics:
    return image_statistics(
        truth, prediction, [-1, *truth_classes], [-1, *predicted_classes], len(classes)
    )


def test_values_worked_out_by_hand() -> None:
    # Cell 1: 4×4 against 4×3 inside it: IoU 12/16. Cell 2: exact, wrong class. Cell 3: missed.
    # Prediction 3: background.
    truth = label_map((0, 4, 0, 4), (0, 2, 6, 8), (6, 8, 0, 2))
    prediction = label_map((0, 4, 0, 3), (0, 2, 6, 8), (8, 10, 8, 10))
    metrics = cell_metrics([score(truth, prediction, [0, 1, 1], [0, 0, 1])], CLASSES)

    assert metrics["bSQ"] == (0.75 + 1) / 2
    assert metrics["bDQ"] == 2 / 3
    assert metrics["bPQ"] == pytest.approx(1.75 / 3)
    # Class a: 1 TP (0.75), 1 FP. Class b: 2 FN, 1 FP. Class c is in neither, so it does not count.
    assert metrics["PQ_a"] == pytest.approx(0.75 / 1.5)
    assert metrics["PQ_b"] == 0
    assert np.isnan(metrics["PQ_c"])
    assert metrics["mPQ"] == metrics["mPQ+"] == pytest.approx(0.25)
    # Intersections 12 + 4; unions 16 + 4, missed 4, spurious 4.
    assert metrics["AJI"] == metrics["AJI+"] == pytest.approx(16 / 28)
    assert metrics["Dice"] == pytest.approx(2 * 16 / (24 + 20))
    assert metrics["F1"] == metrics["precision"] == metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["F1_a"] == pytest.approx(2 / 3)
    assert metrics["F1_b"] == 0
    assert metrics["threat_score_50"] == 2 / 4
    assert metrics["threat_score_75"] == 1 / 5  # 12/16 is not above 0.75
    assert (metrics["truth_b"], metrics["predicted_b"]) == (2, 1)


def test_iou_of_exactly_one_half_is_no_match() -> None:
    metrics = cell_metrics(
        [score(label_map((0, 4, 0, 4)), label_map((0, 2, 0, 4)), [0], [0])], CLASSES
    )
    assert metrics["bPQ"] == metrics["F1"] == 0
    assert metrics["AJI"] == 0.5


def test_aji_may_use_a_prediction_twice_and_aji_plus_may_not() -> None:
    # One prediction of 4×4 covers two true cells of 4×2.
    truth = label_map((0, 4, 0, 2), (0, 4, 2, 4))
    prediction = label_map((0, 4, 0, 4))
    metrics = cell_metrics([score(truth, prediction, [0, 0], [0])], CLASSES)
    assert metrics["AJI"] == pytest.approx((8 + 8) / (16 + 16))
    assert metrics["AJI+"] == pytest.approx(8 / (16 + 8))


def test_averages_per_image_and_pooled_differ() -> None:
    cell = label_map((0, 4, 0, 4))
    three = label_map((0, 2, 0, 2), (4, 6, 0, 2), (8, 10, 0, 2))
    images = [
        score(cell, cell, [0], [0]),  # PQ of a: 1
        score(three, three * 0, [0, 0, 1], []),  # PQ of a and b: 0
    ]
    metrics = cell_metrics(images, CLASSES)
    assert metrics["bPQ"] == 0.5
    assert metrics["mPQ"] == (1 + 0) / 2
    assert metrics["PQ_a"] == 1 / (1 + 2 / 2)
    assert metrics["mPQ+"] == (0.5 + 0) / 2
    assert metrics["recall"] == 1 / 4


def test_a_class_without_truth_counts_its_false_positives() -> None:
    cell = label_map((0, 4, 0, 4))
    both = label_map((0, 4, 0, 4), (6, 9, 6, 9))
    clean = cell_metrics([score(cell, cell, [0], [0])], CLASSES)
    spurious = cell_metrics([score(cell, both, [0], [0, 2])], CLASSES)
    assert clean["mPQ"] == clean["mPQ+"] == 1
    assert spurious["PQ_c"] == 0
    assert spurious["mPQ"] == spurious["mPQ+"] == 0.5


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_classes_stay_in_order(order: tuple[int, ...]) -> None:
    # Class a is exact, class b has IoU 3/4, class c is missed, whatever its number.
    truth = label_map((0, 4, 0, 4), (5, 9, 0, 4), (0, 2, 8, 10))
    prediction = label_map((0, 4, 0, 4), (5, 9, 0, 3))
    names = tuple(CLASSES[order.index(c)] for c in range(3))
    metrics = cell_metrics([score(truth, prediction, list(order), list(order[:2]))], names)
    assert [metrics[f"PQ_{name}"] for name in CLASSES] == [1, 0.75, 0]


def test_empty_cases() -> None:
    cell, nothing = label_map((0, 4, 0, 4)), label_map()
    empty = score(nothing, nothing, [], [])
    alone = cell_metrics([empty], CLASSES)
    assert all(np.isnan(alone[key]) for key in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1"))
    with_cell = cell_metrics([empty, score(cell, cell, [0], [0])], CLASSES)
    assert with_cell["bPQ"] == with_cell["AJI"] == with_cell["Dice"] == 1
    for image in (score(cell, nothing, [0], []), score(nothing, cell, [], [0])):
        metrics = cell_metrics([image], CLASSES)
        for key in ("bPQ", "bSQ", "bDQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1"):
            assert metrics[key] == 0, key
    assert np.isnan(cell_metrics([], CLASSES)["bPQ"])


def test_r_squared_of_counts() -> None:
    # True numbers of class a: 0, 1, 2; predicted: 0, 1, 1. 1 - 1 / 2.
    none, one, two = label_map(), label_map((0, 2, 0, 2)), label_map((0, 2, 0, 2), (4, 6, 4, 6))
    images = [
        score(none, none, [], []),
        score(one, one, [0], [0]),
        score(two, one, [0, 0], [0]),
    ]
    metrics = cell_metrics(images, CLASSES)
    assert metrics["R2_a"] == metrics["R2"] == 0.5
    assert np.isnan(metrics["R2_b"])


def test_overlapping_truth_in_planes() -> None:
    # The smaller cell keeps the four shared pixels: areas 12 and 4.
    planes = np.stack([label_map((0, 4, 0, 4)), 2 * label_map((0, 2, 0, 2))])
    itself = cell_metrics([score(planes, planes, [0, 1], [0, 1])], CLASSES)
    assert itself["bPQ"] == itself["AJI"] == itself["AJI+"] == 1
    large = cell_metrics([score(planes, planes[0], [0, 1], [0])], CLASSES)
    assert large["PQ_a"] == 12 / 16


def test_bad_input_is_named() -> None:
    cell = label_map((0, 4, 0, 4))
    with pytest.raises(ValueError, match="same height and width"):
        score(cell, cell[:5], [0], [0])
    with pytest.raises(ValueError, match="Cell 1 of the prediction has the class 3"):
        score(cell, cell, [0], [3])
    with pytest.raises(ValueError, match="Cell 1 of the truth has no class"):
        score(cell, cell, [], [0])
    with pytest.raises(ValueError, match="integers ≥ 0"):
        score(-cell, cell, [0], [0])
    with pytest.raises(ValueError, match="of integers"):
        score(cell / 2, cell, [0], [0])
    with pytest.raises(ValueError, match="2 classes"):
        cell_metrics([score(cell, cell, [0], [0])], ("a", "b"))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], list, list]:
    """Truth and a prediction that resembles it, with classes."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)

    def paint(boxes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        canvas = np.zeros((24, 20), np.int32)
        for i, (y, x, h, w) in enumerate(boxes, start=1):
            canvas[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = i
        return canvas

    n = draw(st.integers(0, 9))
    boxes = np.stack(
        [
            rng.integers(0, 20, n),
            rng.integers(0, 16, n),
            rng.integers(1, 9, n),
            rng.integers(1, 9, n),
        ],
        axis=1,
    )
    moved = boxes + rng.integers(-1, 2, boxes.shape)
    moved = np.concatenate([moved[rng.random(n) < 0.8], boxes[rng.random(n) < 0.2]])
    classes = rng.integers(0, 3, n)
    return (
        paint(boxes),
        paint(moved),
        classes.tolist(),
        rng.integers(0, 3, len(moved)).tolist(),
    )


def brute_force(
    truth: npt.NDArray[np.int32],
    prediction: npt.NDArray[np.int32],
    truth_classes: list[int],
    predicted_classes: list[int],
) -> dict[str, float]:
    """PQ and AJI straight from their definitions, on N × M bitmaps."""
    g = [(i, truth == i) for i in np.unique(truth) if i]
    # Raster order decides between predictions of equal IoU.
    raster = list(dict.fromkeys(prediction.ravel().tolist()))
    p = [(j, prediction == j) for j in raster if j]
    inter = np.array([[(a & b).sum() for _, b in p] for _, a in g]).reshape(len(g), len(p))
    union = np.array([[(a | b).sum() for _, b in p] for _, a in g]).reshape(len(g), len(p))
    iou = inter / np.maximum(union, 1)
    result: dict[str, float] = {}

    def pq(rows: list[int], columns: list[int]) -> float:
        values = [iou[r, c] for r in rows for c in columns if iou[r, c] > 0.5]
        fn, fp = len(rows) - len(values), len(columns) - len(values)
        total = len(values) + fn / 2 + fp / 2
        return sum(values) / total if total else float("nan")

    result["bPQ"] = pq(list(range(len(g))), list(range(len(p))))
    for k, name in enumerate(CLASSES):
        result[f"PQ_{name}"] = pq(
            [r for r, (i, _) in enumerate(g) if truth_classes[i - 1] == k],
            [c for c, (j, _) in enumerate(p) if predicted_classes[j - 1] == k],
        )
    # Kumar et al. 2017, algorithm 1.
    numerator, denominator, used = 0, 0, set()
    for r, (_, a) in enumerate(g):
        best = max(range(len(p)), key=lambda c: (iou[r, c], -c), default=-1)
        if best >= 0 and iou[r, best] > 0:
            numerator += inter[r, best]
            denominator += union[r, best]
            used.add(best)
        else:
            denominator += a.sum()
    denominator += sum(b.sum() for c, (_, b) in enumerate(p) if c not in used)
    result["AJI"] = numerator / denominator if denominator else float("nan")
    # A dense solver is another implementation than the sparse one under test.
    rows, columns = linear_sum_assignment(-iou)
    result["iou_of_assignment"] = iou[rows, columns].sum()
    return result


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_equals_brute_force(scene: tuple) -> None:
    expected = brute_force(*scene)
    metrics = cell_metrics([score(*scene)], CLASSES)
    for key in ("bPQ", "PQ_a", "PQ_b", "PQ_c", "AJI"):
        assert metrics[key] == pytest.approx(expected[key], nan_ok=True), key


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_assignment_of_aji_plus_is_optimal(scene: tuple) -> None:
    pairs = overlap_pairs(scene[0], scene[1])
    chosen = _one_to_one_pairs(pairs)
    assert len(np.unique(pairs.truth_index[chosen])) == len(chosen)
    assert len(np.unique(pairs.prediction_index[chosen])) == len(chosen)
    assert pairs.iou[chosen].sum() == pytest.approx(brute_force(*scene)["iou_of_assignment"])


@settings(max_examples=100, deadline=None)
@given(scenes(), st.randoms(use_true_random=False))
def test_relabelling_changes_nothing(scene: tuple, random: object) -> None:
    truth, prediction, truth_classes, predicted_classes = scene

    def relabel(
        label_map: npt.NDArray[np.int32], classes: list[int]
    ) -> tuple[npt.NDArray[np.int32], list[int]]:
        new_ids = list(range(1, 2 * len(classes) + 1))
        random.shuffle(new_ids)  # type: ignore[attr-defined]
        table = np.array([0, *new_ids[: len(classes)]], np.int32)
        new_classes = [0] * (2 * len(classes))
        for new_id, c in zip(new_ids, classes, strict=False):
            new_classes[new_id - 1] = c
        return table[label_map], new_classes

    new_truth, new_truth_classes = relabel(truth, truth_classes)
    new_prediction, new_predicted_classes = relabel(prediction, predicted_classes)
    before = cell_metrics([score(*scene)], CLASSES)
    after = cell_metrics(
        [score(new_truth, new_prediction, new_truth_classes, new_predicted_classes)], CLASSES
    )
    np.testing.assert_equal(after, before)


@settings(max_examples=50, deadline=None)
@given(scenes())
def test_truth_against_itself_is_exactly_one(scene: tuple) -> None:
    truth, _, classes, _ = scene
    metrics = cell_metrics([score(truth, truth, classes, classes)], CLASSES)
    for key in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1", "threat_score_75"):
        assert metrics[key] == 1 or (not truth.any() and np.isnan(metrics[key]))


@pytest.mark.shared_data
def test_real_truth_against_itself_is_exactly_one(shared_data: Path) -> None:
    statistics = []
    for folder in sorted((shared_data / "consep" / "test_gt").iterdir())[:3]:
        files = sorted(folder.glob("class*.tif"))
        planes = np.stack([tifffile.imread(path) for path in files]).astype(np.int32)
        classes = np.zeros(planes.max() + 1, np.int64)
        for plane, path in zip(planes, files, strict=True):
            classes[np.unique(plane)] = int(path.stem.removeprefix("class")) - 1
        statistics.append(image_statistics(planes, planes, classes, classes, 4))
    metrics = cell_metrics(statistics, ("other", "inflammatory", "epithelial", "spindle"))
    for key in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1", "R2"):
        assert metrics[key] == 1, key
