"""COCO evaluation of masks: pycocotools against ``CellCocoMetric``."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dense_scene import DenseScene, prepared_scene, synthetic_scene
from measurement import Measurement, Target, require, seconds
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.preparation.coco_annotations import annotations_from_planes, coco_dataset
from cellseg_mm.structures.planes import InstanceCrop, instance_extents, pack_planes

STAGE = "COCO evaluation of masks"
CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
CELLS = 650  # the median of CoNSeP's images is 647

Record = dict[str, Any]


def detections_of(scene: DenseScene, count: int, rng: np.random.Generator) -> list[Record]:
    """``count`` plausible detections: moved cells, better scores for the closer ones."""
    boxes, _ = instance_extents(scene.planes)
    height, width = scene.planes.shape[1:]
    chosen = np.concatenate(
        [rng.permutation(len(scene.labels)), rng.integers(len(scene.labels), size=count)]
    )[:count]
    offsets = rng.normal(0, 2, (count, 2)).round().astype(int)
    offsets[len(scene.labels) :] += rng.integers(-60, 60, (max(count - len(scene.labels), 0), 2))
    crops, labels, scores = [], [], []
    for index, (down, right) in zip(chosen, offsets, strict=True):
        x1, y1, x2, y2 = boxes[index + 1]
        bitmap = (scene.planes[:, y1:y2, x1:x2] == index + 1).any(axis=0)
        top = int(np.clip(y1 + down, 0, height - bitmap.shape[0]))
        left = int(np.clip(x1 + right, 0, width - bitmap.shape[1]))
        crops.append(InstanceCrop(len(crops) + 1, top, left, bitmap))
        wrong_class = rng.random() < 0.1
        labels.append(rng.integers(len(CLASSES)) if wrong_class else scene.labels[index])
        # Rounded, so that there are ties to break.
        scores.append(round(float(rng.uniform(0.3, 1) / (1 + np.hypot(down, right) / 5)), 2))
    records = annotations_from_planes(
        pack_planes(crops, height, width), np.array(labels) + 1, image_id=0
    )
    return [record | {"score": score} for record, score in zip(records, scores, strict=True)]


def truth_of(scenes: list[DenseScene]) -> Record:
    """The scenes' truth as a COCO file."""
    images, annotations = [], []
    for image_id, scene in enumerate(scenes, start=1):
        height, width = scene.planes.shape[1:]
        images.append({"id": image_id, "file_name": "", "height": height, "width": width})
        annotations += annotations_from_planes(scene.planes, scene.labels + 1, image_id)
    return coco_dataset(images, annotations, CLASSES)


def data_sample(image_id: int, detections: list[Record]) -> Record:
    """Detections of one image as a model hands them on."""
    xywh = torch.tensor([d["bbox"] for d in detections], dtype=torch.float32)
    return {
        "img_id": image_id,
        "pred_instances": {
            "bboxes": torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1),
            "scores": torch.tensor([d["score"] for d in detections], dtype=torch.float64),
            "labels": torch.tensor([d["category_id"] - 1 for d in detections]),
            "masks": [d["segmentation"] for d in detections],
        },
    }


def pycocotools_metrics(truth: Record, detections: list[Record]) -> dict[str, float]:
    """The numbers of ``CellCocoMetric`` by pycocotools, at 100 and at 1,000 detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(detections), "segm")
        evaluation.params.maxDets = [100, 1000]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    values = {
        "mAP": precision[..., 0, 1],
        "mAP_50": precision[0, ..., 0, 1],
        "mAP_75": precision[5, ..., 0, 1],
        "mAP_s": precision[..., 1, 1],
        "mAP_m": precision[..., 2, 1],
        "mAP_l": precision[..., 3, 1],
        "mAP_dets100": precision[..., 0, 0],
        "mAP_50_dets100": precision[0, ..., 0, 0],
        "mAP_75_dets100": precision[5, ..., 0, 0],
        "AR_100": recall[..., 0, 0],
        "AR_1000": recall[..., 0, 1],
    }
    return {
        f"segm_{key}": float(value[value > -1].mean()) if (value > -1).any() else float("nan")
        for key, value in values.items()
    }


def both_seconds(
    scenes: list[DenseScene], images: int, count: int
) -> tuple[float, float, dict[str, float]]:
    """Seconds of both sides, and the scores, on ``images`` images that take turns with scenes."""
    rng = np.random.default_rng(0)
    scenes = [scenes[i % len(scenes)] for i in range(images)]
    truth = truth_of(scenes)
    found = [detections_of(scene, count, rng) for scene in scenes]
    records = [
        {"image_id": image_id, **{k: d[k] for k in ("category_id", "segmentation", "score")}}
        for image_id, detections in enumerate(found, start=1)
        for d in detections
    ]
    with tempfile.TemporaryDirectory() as folder:
        ann_file = Path(folder, "truth.json")
        ann_file.write_text(json.dumps(truth), encoding="utf-8")
        metric = CellCocoMetric(str(ann_file))
    metric.dataset_meta = {"classes": CLASSES}
    metric.process({}, [data_sample(i, found[i - 1]) for i in range(1, images + 1)])

    scores = metric.compute_metrics(metric.results)
    expected: dict[str, float] = {}
    stock = seconds(lambda: expected.update(pycocotools_metrics(truth, records)))
    require(scores.keys() == expected.keys(), "names of the scores")
    require(
        np.allclose(
            list(map(scores.get, expected)), list(expected.values()), rtol=0, atol=1e-12,
            equal_nan=True,
        ),
        f"COCO scores: {expected} and {scores}",
    )  # fmt: skip
    ours = np.median([seconds(lambda: metric.compute_metrics(metric.results)) for _ in range(5)])
    return stock, float(ours), scores


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long."""
    side, cells, images, count = (512, 150, 4, 200) if quick else (1000, CELLS, 14, 1000)
    # pycocotools takes a minute, so there is one run, on real truth where there is some.
    if data is not None and not quick:
        source, scenes = "real", [prepared_scene(data, n) for n in (500, 600, 700, 800)]
    else:
        source, scenes = "synthetic", [synthetic_scene(side, cells, seed) for seed in range(4)]
    stock, ours, scores = both_seconds(scenes, images, count)
    return [
        Measurement(
            STAGE,
            f"{images} images × {count:,} detections, {source} truth of four classes",
            "s",
            stock,
            ours,
            None if quick else Target("ratio", "at least", 15),
            note=f"against pycocotools; mAP {scores['segm_mAP']:.4f} on both sides",
        )
    ]
