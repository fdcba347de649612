"""Importing this registers the metrics and writers of predictions with MMDetection."""

import cellseg_mm.ops  # noqa: F401  isort: skip  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.evaluation.submission import SubmissionWriter

__all__ = ["CellCocoMetric", "SubmissionWriter"]
