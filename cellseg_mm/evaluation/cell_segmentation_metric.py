"""The field's metrics (PQ, AJI, F1, Dice, counts) during validation and testing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import match_categories, read_annotations
from cellseg_mm.evaluation.cell_metrics import ImageStatistics, cell_metrics, image_statistics
from cellseg_mm.evaluation.image_detections import ImageDetections
from cellseg_mm.evaluation.label_map import MIN_KEPT, paint_label_map
from cellseg_mm.evaluation.scored_predictions import scored_predictions
from cellseg_mm.structures.mask_runs import MaskRuns


@METRICS.register_module()
class CellSegmentationMetric(BaseMetric):
    """PQ, AJI, F1, Dice and counts of predicted cells: `cell/bPQ`, `cell/mPQ`, `cell/AJI+`, ….

    Names and definitions are those of :mod:`cellseg_mm.evaluation.cell_metrics`. Predictions under
    the score threshold are dropped, the others become one label map (the rule:
    :mod:`cellseg_mm.evaluation.label_map`); true cells are flattened likewise. Categories are
    matched to the dataset's classes by name; true cells of other categories are left out, and so
    are predictions that are neither right nor wrong (the rule:
    :mod:`cellseg_mm.evaluation.scored_predictions`). Images of the annotation file that the model
    has not seen count as images without predictions, as in `CellCocoMetric`. Only a few sums are
    kept of each image.

    Without any true cell in the annotation file, nothing is reported.

    Args:
        ann_file: COCO json with the truth, masks as RLE.
        score_thr: Predictions with a lower score are dropped.
        min_kept: A prediction that keeps less than this share of its pixels beside better ones is
            left out of the label map.
        **kwargs: Those of `BaseMetric`; `prefix` defaults to "cell".

    Raises:
        FileNotFoundError: There is no `ann_file`.
        ValueError: The `ann_file` is not COCO's, or a number is not in 0 … 1.
    """

    default_prefix = "cell"

    def __init__(
        self,
        ann_file: str,
        score_thr: float = 0.5,
        min_kept: float = MIN_KEPT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("score_thr", score_thr), ("min_kept", min_kept)):
            if not 0 <= value <= 1:
                raise UserError(f"`{name}` is {value}, but must lie between 0 and 1.")
        self.score_thr = score_thr
        self.min_kept = min_kept
        self._truth = read_annotations(ann_file)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Sum up each image of a batch; see `ImageDetections` for the form of the samples.

        Raises:
            ValueError: Classes, images or mask sizes do not agree with `ann_file`.
        """
        for data_sample in data_samples:
            detections = ImageDetections.from_data_sample(data_sample)
            self.results.append((detections.image_id, self._score(detections)))

    def compute_metrics(self, results: list[tuple[int, ImageStatistics]]) -> dict[str, float]:
        """Turn the ids and sums of all images into metrics."""
        logger = MMLogger.get_current_instance()
        if not any(self._truth.cells.values()):
            logger.warning(f"{self._truth.source} holds no true cells: no cell metrics.")
            return {}
        # A sampler that pads the last batch shows an image twice: the first result counts.
        scored = dict(reversed(results))
        unseen = self._truth.images.keys() - scored.keys()
        if unseen:
            logger.warning(
                f"{len(unseen)} of {len(self._truth.images)} images of {self._truth.source} were "
                "not evaluated: they count as images without predictions."
            )
        for image_id in unseen:
            scored[image_id] = self._score(ImageDetections.none(image_id))
        # In order of the ids, so that sums do not depend on the number of processes.
        return cell_metrics([scored[image_id] for image_id in sorted(scored)], self._classes)

    @property
    def _classes(self) -> tuple[str, ...]:
        return tuple((self.dataset_meta or {}).get("classes", ()))

    def _score(self, detections: ImageDetections) -> ImageStatistics:
        truth = self._truth
        image = truth.images.get(detections.image_id)
        if image is None:
            raise UserError(
                f"The model was given image {detections.image_id}, which is not in "
                f"{truth.source}: set the same `ann_file` for the dataset and its evaluator."
            )
        category_ids = match_categories(self._classes, truth.categories, truth.source)
        labels = {category_id: label for label, category_id in enumerate(category_ids)}
        cells = [c for c in truth.cells[detections.image_id] if c["category_id"] in labels]
        size = image["height"], image["width"]
        try:
            scored = scored_predictions(
                truth,
                detections.image_id,
                [category_ids[label] for label in detections.labels],
                detections.masks,
            )
            sure = np.flatnonzero(scored & (detections.scores >= self.score_thr))
            found = MaskRuns.from_rles(detections.masks[sure], *size)
            true = MaskRuns.from_rles((cell["segmentation"] for cell in cells), *size)
        except ValueError as error:
            raise UserError(f"Image {detections.image_id}: {error}") from error
        # Entry 0 of the class lists is the background, which has no class.
        return image_statistics(
            paint_label_map(true),
            paint_label_map(found, detections.scores[sure], self.min_kept),
            [-1, *(labels[cell["category_id"]] for cell in cells)],
            [-1, *detections.labels[sure].tolist()],
            len(category_ids),
        )
