"""Predictions of several models for the same images, read from files and fused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.structures import InstanceData

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.prediction_dumper import PredictionDumper
from cellseg_mm.evaluation.predictions import Prediction, load_predictions
from cellseg_mm.evaluation.submission import SubmissionWriter
from cellseg_mm.models.test_time.fusion import fuse_detections
from cellseg_mm.structures.rle_masks import RLEMasks

_WRITERS = {".json": PredictionDumper, ".zip": SubmissionWriter}


def fuse_predictions(
    prediction_files: Sequence[str],
    ann_file: str,
    out_file: str,
    merge_iou: float = 0.5,
    max_per_image: int | None = None,
) -> dict[str, int]:
    """Fuse files of predictions with :func:`~cellseg_mm.models.test_time.fusion.fuse_detections`.

    Masks in files are binary, so a pixel is in where more than half of the models that found the
    cell have it; where it is just half, the best of their detections decides. Boxes are the mean of
    the masks' tight boxes.

    Args:
        prediction_files: COCO result lists, one for each model, as ``tools/test.py --dump`` or
            ``--submission`` writes them, or folders of ``cellseg segment``.
        ann_file: COCO json of the images; needs no truth.
        out_file: The file to write: a result list ``.json``, or a submission ``.zip``.
        merge_iou: Least mask IoU of two detections of one cell.
        max_per_image: Detections kept for each image; None = as many as the file with the most has
            in an image.

    Returns:
        Number of ``images`` and of ``detections`` written.

    Raises:
        FileNotFoundError: A file, or the folder to write to, does not exist.
        ValueError: A file is not what it should be.
    """
    kind = _WRITERS.get(Path(out_file).suffix.lower())
    if kind is None:
        raise UserError(f"The output {out_file} must end in .json or, for a submission, in .zip.")
    writer = kind(out_file, ann_file)
    annotations = read_annotations(ann_file)
    writer.dataset_meta = {"classes": list(annotations.categories.values())}
    labels = {category_id: label for label, category_id in enumerate(annotations.categories)}
    sources = []
    for file in prediction_files:
        by_image = defaultdict(list)
        for prediction in load_predictions(file, annotations):
            by_image[prediction["image_id"]].append(prediction)
        sources.append(by_image)
    if max_per_image is None:
        max_per_image = max((len(p) for by_image in sources for p in by_image.values()), default=0)
    for image_id, image in annotations.images.items():
        size = image["height"], image["width"]
        found = [_detections(by_image[image_id], labels, *size) for by_image in sources]
        fused = fuse_detections(found, merge_iou, max_per_image=max_per_image)
        writer.process(None, [{"img_id": image_id, "pred_instances": fused, "ori_shape": size}])
    numbers = writer.evaluate(len(annotations.images))
    return {name.rsplit("/", 1)[-1]: number for name, number in numbers.items()}


def _detections(
    predictions: Sequence[Prediction], labels: dict[int, int], height: int, width: int
) -> InstanceData:
    masks = RLEMasks([p["segmentation"]["counts"] for p in predictions], height, width)
    return InstanceData(
        bboxes=torch.as_tensor(masks.runs.boxes, dtype=torch.float64),
        scores=torch.tensor([p["score"] for p in predictions], dtype=torch.float64),
        labels=torch.tensor([labels[p["category_id"]] for p in predictions], dtype=torch.int64),
        masks=masks,
    )
