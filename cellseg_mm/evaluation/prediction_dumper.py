"""Predictions as a COCO JSON file, for the report and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.result_list_writer import ResultListWriter

from mmdet.registry import METRICS


@METRICS.register_module()
class PredictionDumper(ResultListWriter):
    """Write what the model finds to a COCO JSON file; `load_predictions` reads it.

    See :class:`ResultListWriter` for the form of the list.

    Args:
        out_file: The `.json` to write, in a folder that exists.
        ann_file: COCO json whose category ids are written, matched by name to the dataset's
            classes. Without it, the category is the label + 1.
        collect_device: Not used: the parts of several processes always meet on the first one.
        prefix: Goes before `images` and `detections`, the numbers returned. Defaults to "dump".

    Raises:
        FileNotFoundError: The folder of `out_file`, or the `ann_file`, does not exist.
        ValueError: `out_file` does not end in ".json", or the `ann_file` is not COCO's.
    """

    default_prefix = "dump"
    suffix = ".json"
    what = "file of predictions"

    def __init__(
        self,
        out_file: str,
        ann_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(out_file, collect_device=collect_device, prefix=prefix)
        self._annotations = None if ann_file is None else read_annotations(ann_file)

    def open_target(self, path: Path) -> IO[bytes]:
        """Open a new file."""
        return path.open("wb")

    def category_id(self, label: int) -> int:
        """COCO category id of a label.

        Raises:
            ValueError: A class of the dataset is not a category of `ann_file`.
        """
        if self._annotations is None:
            return super().category_id(label)
        classes = tuple((self.dataset_meta or {}).get("classes", ()))
        return self._annotations.category_ids(classes)[label]
