"""Importing this registers the metrics and writers of predictions with MMDetection."""

import cellseg_mm.ops  # noqa: F401  (before what imports mmcv.ops)
from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.evaluation.cell_segmentation_metric import CellSegmentationMetric
from cellseg_mm.evaluation.prediction_dumper import PredictionDumper
from cellseg_mm.evaluation.submission import SubmissionWriter

__all__ = ["CellCocoMetric", "CellSegmentationMetric", "PredictionDumper", "SubmissionWriter"]
