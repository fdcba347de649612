"""Overlaps of the true and predicted masks of each image: where every error analysis starts.

Masks are compared as they are, so predictions may overlap. Only the sums for the cell metrics come
from label maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.cell_metrics import ImageStatistics, image_statistics
from cellseg_mm.evaluation.label_map import paint_label_map
from cellseg_mm.evaluation.overlap_pairs import OverlapPairs, mask_overlap_pairs
from cellseg_mm.evaluation.predictions import Prediction
from cellseg_mm.evaluation.scored_predictions import scored_predictions
from cellseg_mm.structures.mask_runs import MaskRuns

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

SCORE_THRESHOLD = 0.5
"""Least score of a *sure* prediction, one that counts where scores do not rank."""

MATCH_IOU = 0.5
"""A prediction with at least this mask IoU has found a cell."""

CROWDING_RADIUS = 40.0
"""Cells with centres within this many pixels are neighbours: 10 µm at 40×, about two nuclei."""


@dataclass(frozen=True, eq=False)
class ImageMatches:
    """The T true and N predicted cells of one image and their overlaps.

    Attributes:
        image_id: COCO image id.
        file_name: As the annotation file has it.
        truth_classes: (T,) int64, class index.
        truth_areas: (T,) int64, pixels.
        truth_boxes: (T, 4) int64, tight xywh, pixels.
        truth_crowding: (T,) int64, number of other true cells within the crowding radius.
        annotation_ids: (T,) int64, COCO annotation ids.
        classes: (N,) int64, class index of each prediction. Sorted by falling score.
        scores: (N,) float64.
        areas: (N,) int64, pixels.
        boxes: (N, 4) int64, tight xywh, pixels.
        crowding: (N,) int64, number of true cells within the crowding radius, less the one that the
            prediction overlaps, if any.
        rows: (N,) int64, position of each prediction in the list that was given.
        pairs: The overlaps.
        statistics: What the cell metrics need of the image, from the sure predictions.
    """

    image_id: int
    file_name: str
    truth_classes: Int64Array
    truth_areas: Int64Array
    truth_boxes: Int64Array
    truth_crowding: Int64Array
    annotation_ids: Int64Array
    classes: Int64Array
    scores: FloatArray
    areas: Int64Array
    boxes: Int64Array
    crowding: Int64Array
    rows: Int64Array
    pairs: OverlapPairs
    statistics: ImageStatistics

    def overlaps(self, least_iou: float) -> list[list[tuple[float, int]]]:
        """(IoU, true cell) of each prediction where IoU ≥ `least_iou`, in order of the cells."""
        found: list[list[tuple[float, int]]] = [[] for _ in self.scores]
        chosen = self.pairs.iou >= least_iou
        for prediction, iou, truth in zip(
            self.pairs.prediction_index[chosen].tolist(),
            self.pairs.iou[chosen].tolist(),
            self.pairs.truth_index[chosen].tolist(),
            strict=True,
        ):
            found[prediction].append((iou, truth))
        return found


def match_images(
    annotations: Annotations,
    predictions: Sequence[Prediction],
    score_threshold: float = SCORE_THRESHOLD,
) -> list[ImageMatches]:
    """Find the overlaps of all images by rising id; images without predictions included.

    Args:
        annotations: The truth; class c is the c-th category by id.
        predictions: What :func:`cellseg_mm.evaluation.predictions.load_predictions` gives; those
            that are neither right nor wrong (:mod:`cellseg_mm.evaluation.scored_predictions`) are
            left out.
        score_threshold: Least score of the predictions that count for `statistics`.

    Raises:
        ValueError: A prediction is of an unknown image or category, or a mask is malformed.
    """
    class_of = {category_id: c for c, category_id in enumerate(annotations.categories)}
    by_image: dict[int, list[int]] = {image_id: [] for image_id in annotations.images}
    for row, prediction in enumerate(predictions):
        if prediction["image_id"] not in by_image or prediction["category_id"] not in class_of:
            raise UserError(
                f"Prediction {row} is of image {prediction['image_id']} and category "
                f"{prediction['category_id']}, one of which is not in {annotations.source}."
            )
        by_image[prediction["image_id"]].append(row)
    matches = []
    for image_id, all_rows in by_image.items():
        rows = _scored(annotations, predictions, image_id, all_rows)
        rows.sort(key=lambda row: -predictions[row]["score"])  # stable, as COCO's sort is
        try:
            matches.append(
                _match_image(
                    annotations.images[image_id],
                    annotations.cells[image_id],
                    [predictions[row] for row in rows],
                    np.array(rows, np.int64),
                    class_of,
                    score_threshold,
                )
            )
        except ValueError as error:
            raise UserError(f"Image {image_id} of {annotations.source}: {error}") from error
    return matches


def _scored(
    annotations: Annotations, predictions: Sequence[Prediction], image_id: int, rows: list[int]
) -> list[int]:
    """The predictions of an image that are right or wrong."""
    scored = scored_predictions(
        annotations,
        image_id,
        [predictions[row]["category_id"] for row in rows],
        (predictions[row]["segmentation"] for row in rows),
    )
    return [row for row, counts in zip(rows, scored, strict=True) if counts]


def _match_image(
    image: Mapping[str, Any],
    cells: Sequence[Mapping[str, Any]],
    predictions: Sequence[Prediction],
    rows: Int64Array,
    class_of: Mapping[int, int],
    score_threshold: float,
) -> ImageMatches:
    height, width = image["height"], image["width"]
    truth = MaskRuns.from_rles([cell["segmentation"] for cell in cells], height, width)
    found = MaskRuns.from_rles([p["segmentation"] for p in predictions], height, width)
    truth_classes = np.array([class_of[cell["category_id"]] for cell in cells], np.int64)
    classes = np.array([class_of[p["category_id"]] for p in predictions], np.int64)
    scores = np.array([p["score"] for p in predictions], np.float64)
    pairs = mask_overlap_pairs(truth, found)

    overlapping = np.zeros(len(found), np.int64)
    overlapping[pairs.prediction_index] = 1
    sure = int(np.count_nonzero(scores >= score_threshold))  # they come first
    statistics = image_statistics(
        paint_label_map(truth),
        paint_label_map(found.first(sure), scores[:sure]),
        np.append(-1, truth_classes),
        np.append(-1, classes[:sure]),
        len(class_of),
    )
    return ImageMatches(
        image_id=image["id"],
        file_name=image.get("file_name", str(image["id"])),
        truth_classes=truth_classes,
        truth_areas=truth.areas,
        truth_boxes=_xywh(truth.boxes),
        truth_crowding=np.maximum(_neighbours(truth.centroids, truth.centroids) - 1, 0),
        annotation_ids=np.array([cell["id"] for cell in cells], np.int64),
        classes=classes,
        scores=scores,
        areas=found.areas,
        boxes=_xywh(found.boxes),
        crowding=np.maximum(_neighbours(found.centroids, truth.centroids) - overlapping, 0),
        rows=rows,
        pairs=pairs,
        statistics=statistics,
    )


def _xywh(boxes: Int64Array) -> Int64Array:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def _neighbours(centres: FloatArray, others: FloatArray) -> Int64Array:
    """Number of other centres within `CROWDING_RADIUS`; 0 for an empty mask."""
    numbers = np.zeros(len(centres), np.int64)
    filled = ~np.isnan(centres).any(axis=1)
    others = others[~np.isnan(others).any(axis=1)]
    if filled.any() and len(others):
        numbers[filled] = cKDTree(others).query_ball_point(
            centres[filled], CROWDING_RADIUS, return_length=True
        )
    return numbers
