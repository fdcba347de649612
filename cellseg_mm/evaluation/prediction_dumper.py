"""Predictions as a COCO JSON file, for the report and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from mmdet.registry import METRICS

from cellseg_mm.evaluation.result_list_writer import ResultListWriter


@METRICS.register_module()
class PredictionDumper(ResultListWriter):
    """Write what the model finds to a COCO JSON file; `load_predictions` reads it.

    See :class:`ResultListWriter` for the form of the list and the arguments.
    """

    default_prefix = "dump"
    suffix = ".json"
    what = "file of predictions"

    def open_target(self, path: Path) -> IO[bytes]:
        """Open a new file."""
        return path.open("wb")
