"""All cell metrics of one image, on one thread. Stock MMDetection has none to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from dense_scene import DenseScene, synthetic_scene
from measurement import Measurement, ParityError, Target, seconds
from skimage.segmentation import expand_labels

from cellseg_mm.evaluation.cell_metrics import cell_metrics, image_statistics
from cellseg_mm.evaluation.label_map import flatten_planes, paint_label_map
from cellseg_mm.preparation.coco_annotations import annotations_from_planes
from cellseg_mm.structures.mask_runs import MaskRuns

STAGE = "all cell metrics of an image"
CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
REPEATS = 9
_NOTE = f"one thread, median of {REPEATS}; stock MMDetection has no such metrics"

LabelMap = npt.NDArray[np.int32]
Rles = list[dict[str, Any]]


def prediction_of(truth: LabelMap, rng: np.random.Generator) -> LabelMap:
    """A plausible (H, W) prediction: cells moved by (2, 1), a third grown, a tenth lost.

    Ids are 1 … M without gaps.
    """
    moved = np.zeros_like(truth)
    moved[2:, 1:] = truth[:-2, :-1]
    drawn = rng.random(truth.max() + 1)
    grown = expand_labels(moved, distance=2)
    mask = (grown != moved) & (drawn[grown] > 1 / 3)
    found = np.where(mask | (drawn[grown] > 0.9), 0, grown)
    ids = np.unique(found[found > 0])
    new_id = np.zeros(truth.max() + 1, np.int32)
    new_id[ids] = np.arange(1, len(ids) + 1)
    return new_id[found]


def from_label_maps(
    truth: LabelMap,
    prediction: LabelMap,
    truth_classes: npt.NDArray[np.int64],
    predicted_classes: npt.NDArray[np.int64],
) -> dict[str, float]:
    """All metrics of a data set of one image; classes by id, entry 0 is the background's."""
    statistics = image_statistics(truth, prediction, truth_classes, predicted_classes, len(CLASSES))
    return cell_metrics([statistics], CLASSES)


def from_rles(
    truth: Rles,
    prediction: Rles,
    size: tuple[int, int],
    truth_classes: npt.NDArray[np.int64],
    predicted_classes: npt.NDArray[np.int64],
) -> dict[str, float]:
    """The same as ``CellSegmentationMetric`` does it: masks come as COCO RLE."""
    return from_label_maps(
        paint_label_map(MaskRuns.from_rles(truth, *size)),
        paint_label_map(MaskRuns.from_rles(prediction, *size), np.ones(len(prediction))),
        truth_classes,
        predicted_classes,
    )


def median_seconds(scene: DenseScene) -> tuple[float, float]:
    """Seconds an image, from label maps and from RLE."""
    rng = np.random.default_rng(0)
    truth = flatten_planes(scene.planes).astype(np.int32)
    prediction = prediction_of(truth, rng)
    classes = np.append(-1, scene.labels)
    guessed = np.append(-1, rng.integers(len(CLASSES), size=prediction.max()))
    true_rles, rles = (
        [cell["segmentation"] for cell in annotations_from_planes(planes, labels[1:] + 1, 1)]
        for planes, labels in ((scene.planes, classes), (prediction[None], guessed))
    )
    size = scene.rgb.shape[:2]

    perfect = (
        from_label_maps(truth, truth, classes, classes),
        from_rles(true_rles, true_rles, size, classes, classes),
    )
    for metrics in perfect:
        for name in ("bPQ", "mPQ", "mPQ+", "AJI", "AJI+", "Dice", "F1"):
            if metrics[name] != 1:
                raise ParityError(f"{name} of the truth against itself is {metrics[name]}, not 1.")

    works: tuple[Callable[[], dict[str, float]], ...] = (
        lambda: from_label_maps(truth, prediction, classes, guessed),
        lambda: from_rles(true_rles, rles, size, classes, guessed),
    )
    by_map, by_rle = (work() for work in works)
    if not 0 < by_map["bPQ"] < 1:
        raise ParityError(f"bPQ of an imperfect prediction is {by_map['bPQ']}.")
    if str(by_map) != str(by_rle):  # as text, in which NaN equals NaN
        raise ParityError(f"Label maps give {by_map}, but RLE gives {by_rle}.")
    map_seconds, rle_seconds = (
        float(np.median([seconds(work) for _ in range(REPEATS)])) for work in works
    )
    return map_seconds, rle_seconds


@contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread for a while; the NumPy used here never takes more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` takes a smaller image. ``data`` is unused."""
    scene = synthetic_scene(*((512, 200) if quick else (1000, 1000)))
    with one_thread():
        values = median_seconds(scene)
    return [
        Measurement(
            STAGE,
            f"{scene.name}, from {source}",
            "s",
            None,
            value,
            Target("ours", "at most", 0.1),
            note=_NOTE,
        )
        for source, value in zip(("label maps", "COCO RLE"), values, strict=True)
    ]
