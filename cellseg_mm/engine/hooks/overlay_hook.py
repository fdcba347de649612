"""Predictions beside truth, as pictures in the work dir."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.image_detections import ImageDetections
from cellseg_mm.files.rgb_file import read_rgb, write_rgb
from cellseg_mm.structures.cell_crops import scored_cells
from cellseg_mm.structures.mask_runs import MaskRuns
from cellseg_mm.structures.palette import class_palette
from cellseg_mm.visualization.overlay_picture import Panel, overlay_picture


@HOOKS.register_module()
class OverlayHook(Hook):
    """Draw truth and predictions of the data set's first images after validation and test.

    Writes ``<work_dir>/overlays/<part>/<image name>.png``: truth on the left where there is one,
    predictions on the right, the latest evaluation replacing the one before. The part, "val" or
    "test", is the name of the annotation file. The data set is a
    :class:`~cellseg_mm.datasets.cell_dataset.CellDataset`. With several processes, each draws what
    it evaluates.

    Args:
        num_images: How many images to draw, from the first of the data set on.
        score_thr: Least score of a prediction to be drawn.

    Raises:
        ValueError: ``num_images`` is negative.
    """

    priority = "LOW"

    def __init__(self, num_images: int = 4, score_thr: float = 0.5) -> None:
        if num_images < 0:
            raise UserError(f"num_images={num_images} of OverlayHook must be 0 or more.")
        self.num_images = num_images
        self.score_thr = score_thr
        self._waiting: dict[int, dict[str, Any]] = {}
        """Samples still to be drawn in this evaluation, by image id."""

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        """Look up which images to draw."""
        if mode != "train":
            dataset = getattr(runner, f"{mode}_dataloader").dataset
            samples = map(dataset.get_data_info, range(min(self.num_images, len(dataset))))
            self._waiting = {sample["img_id"]: sample for sample in samples}

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        """Draw the chosen images among those of the batch."""
        if mode == "train":
            return
        dataset = getattr(runner, f"{mode}_dataloader").dataset
        part = Path(dataset.ann_file).stem
        for output in outputs or ():
            # A sampler that fills up the last batch shows an image twice.
            sample = self._waiting.pop(output.img_id, None)
            if sample is None:
                continue
            try:
                picture = self._draw(output, sample, dataset.metainfo)
                name = f"{Path(sample['img_path']).stem}.png"
                write_rgb(Path(runner.work_dir, "overlays", part, name), picture)
            except UserError as error:
                runner.logger.warning(f"No overlay of {sample['img_path']}: {error}")
            except Exception:  # a picture is never worth a training
                runner.logger.warning(
                    f"The overlay of {sample['img_path']} could not be drawn.", exc_info=True
                )

    def _draw(
        self, output: Any, sample: dict[str, Any], metainfo: dict[str, Any]
    ) -> npt.NDArray[np.uint8]:
        image = read_rgb(sample["img_path"])
        panels = [_prediction_panel(output, image.shape[0], image.shape[1], self.score_thr)]
        if "label_path" in sample:
            panels.insert(0, _truth_panel(sample))
        classes = metainfo["classes"]
        palette = metainfo.get("palette") or class_palette(len(classes))
        return overlay_picture(image, panels, classes, palette)


def _truth_panel(sample: dict[str, Any]) -> Panel:
    cells, scored = scored_cells(sample)
    return Panel(f"Truth: {len(cells):,} cells", cells, sample["labels"][scored])


def _prediction_panel(output: Any, height: int, width: int, score_thr: float) -> Panel:
    detections = ImageDetections.from_data_sample(output.to_dict())
    # The best come last, on top of the others.
    order = np.argsort(detections.scores, kind="stable")
    order = order[detections.scores[order] >= score_thr]
    cells = list(MaskRuns.from_rles(detections.masks[order], height, width).crops())
    title = f"Prediction: {len(cells):,} cells, score ≥ {score_thr:g}"
    return Panel(title, cells, detections.labels[order])
