"""COCO average precision of masks and boxes for images with many cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval.core.coco import COCO
from faster_coco_eval.core.faster_eval_api import COCOeval_faster
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import match_categories, read_coco_file
from cellseg_mm.evaluation.cell_metrics import mean_defined
from cellseg_mm.evaluation.image_detections import ImageDetections
from cellseg_mm.evaluation.predictions import compressed_mask, is_box, is_finite, is_integer
from cellseg_mm.structures.mask_runs import MaskRuns

_CAPS = (100, 1000)
_AREA_RANGES = ("all", "small", "medium", "large")


@METRICS.register_module()
class CellCocoMetric(BaseMetric):
    """COCO AP and AR with one fixed meaning for each key, equal to pycocotools'.

    Stock `CocoMetric` mixes the caps on detections: its mAP stops at 100, its AP50 at the largest
    cap. Here, every key names its cap or is at 1000; `<type>` is `segm` (mask IoU) or `bbox`:

    ============================  =================================================================
    `<type>_mAP`                  AP, mean over IoU 0.50 to 0.95 (step 0.05) and classes
    `<type>_mAP_50`, `_mAP_75`    AP at IoU 0.50 and 0.75
    `<type>_mAP_s`, `_m`, `_l`    AP of truth under 32² pixels, from 32² to 96², over 96² (the area
                                  of a truth is that of its mask; of a detection, that of its mask
                                  or box)
    `<type>_mAP_dets100`, `<type>_mAP_50_dets100`, `<type>_mAP_75_dets100`
                                  the first three at COCO's own cap of 100
    `<type>_AR_100`, `_AR_1000`   highest recall at that cap, mean over IoU 0.50 to 0.95 and classes
    `<type>_mAP_<class>`, `_mAP_50_<class>`, `_mAP_75_<class>`
                                  AP of one class, with `classwise`; `_class_<class>` where the key
                                  is taken, as by a class called "50"
    `<type>_mAP_dets100_<class>`, `_mAP_50_dets100_<class>`, `_mAP_75_dets100_<class>`
                                  the same at COCO's own cap of 100
    ============================  =================================================================

    As in COCO, a cap is on the best-scored detections of one class in one image; a class without
    truth is left out of every mean. Truth with `iscrowd` 1 is ignored, and so are detections of
    classes that an image is not annotated for (`annotated_category_ids` of its record; as in LVIS):
    they are neither right nor wrong. A number without any truth behind it is nan (pycocotools: -1).
    Without any detection, all other numbers are 0. Detections with an empty mask do not count.
    Images of `ann_file` that the model has not seen count as images without detections. Numbers are
    not rounded.

    Args:
        ann_file: COCO json with the truth; annotation ids start at 1.
        metric: "segm", "bbox" or both.
        classwise: Give the AP of each class too, and log a table.
        **kwargs: Those of `BaseMetric`; `prefix` defaults to "coco".

    Raises:
        FileNotFoundError: There is no `ann_file`.
        ValueError: An unknown `metric`, or an `ann_file` that COCO's matching cannot use.
    """

    default_prefix = "coco"

    def __init__(
        self,
        ann_file: str,
        metric: str | Sequence[str] = "segm",
        classwise: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.iou_types = [metric] if isinstance(metric, str) else list(metric)
        if not self.iou_types or not set(self.iou_types) <= {"segm", "bbox"}:
            raise UserError(f"`metric` is {metric!r}, but may be 'segm', 'bbox' or both.")
        self.ann_file = Path(ann_file)
        self.classwise = classwise
        self._truth = _read_truth(self.ann_file, with_masks="segm" in self.iou_types)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep what the model found in a batch; see :class:`ImageDetections` for the form."""
        self.results.extend(map(ImageDetections.from_data_sample, data_samples))

    def compute_metrics(self, results: list[ImageDetections]) -> dict[str, float]:
        """Score the detections of all images.

        Raises:
            ValueError: Classes, images or mask sizes do not agree with `ann_file`.
        """
        # A sampler that pads the last batch shows an image twice: the first result counts.
        images = {image.image_id: image for image in reversed(results)}
        category_ids = self._category_ids()
        self._check(images.values(), num_classes=len(category_ids))
        images = {key: self._annotated(image, category_ids) for key, image in images.items()}

        metrics: dict[str, float] = {}
        for iou_type in self.iou_types:
            precision, recall = self._evaluate(images.values(), category_ids, iou_type)
            metrics |= _summarize(precision, recall, iou_type)
            if self.classwise:
                self._add_classes(metrics, precision, category_ids, iou_type)
        return metrics

    def _category_ids(self) -> list[int]:
        """COCO category id of each label, matched by name."""
        classes = (self.dataset_meta or {}).get("classes", ())
        categories = {key: category["name"] for key, category in self._truth.cats.items()}
        return match_categories(classes, categories, self.ann_file)

    def _annotated(self, image: ImageDetections, category_ids: Sequence[int]) -> ImageDetections:
        """The detections of classes that the image is annotated for."""
        annotated = self._truth.imgs[image.image_id].get("annotated_category_ids")
        if annotated is None:
            return image
        return image.only(np.isin(np.array(category_ids)[image.labels], annotated))

    def _check(self, images: Iterable[ImageDetections], num_classes: int) -> None:
        truth = self._truth.imgs
        seen = set()
        for image in images:
            seen.add(image.image_id)
            if image.image_id not in truth:
                raise UserError(
                    f"The model was given image {image.image_id}, which is not in {self.ann_file}: "
                    "set the same `ann_file` for the dataset and its evaluator."
                )
            size = truth[image.image_id]["height"], truth[image.image_id]["width"]
            if image.size not in (None, size):
                raise UserError(
                    f"The masks of image {image.image_id} are {image.size} (height, width), but it "
                    f"is {size} in {self.ann_file}: predict at the original size."
                )
            if len(image) and not 0 <= image.labels.min() <= image.labels.max() < num_classes:
                raise UserError(
                    f"The model gave labels up to {image.labels.max()}, but the dataset has "
                    f"{num_classes} classes: set `num_classes` of the model's heads."
                )
        logger = MMLogger.get_current_instance()
        if missing := len(truth) - len(seen):
            logger.warning(
                f"{missing} of {len(truth)} images of {self.ann_file} were not evaluated: "
                "they count as images without detections."
            )
        if not self._truth.anns:
            logger.warning(f"{self.ann_file} holds no truth: every score is nan.")

    def _evaluate(
        self, images: Iterable[ImageDetections], category_ids: Sequence[int], iou_type: str
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Run COCO's matching.

        Returns:
            precision: (IoU, recall level, class, area range, cap), nan without truth.
            recall: (IoU, class, area range, cap), nan without truth.
            Classes are in the order of their category ids.
        """
        detections = COCO()
        detections.dataset = {
            "images": self._truth.dataset["images"],
            "categories": self._truth.dataset["categories"],
            "annotations": _detection_records(images, category_ids, iou_type),
        }
        detections.createIndex()
        evaluation = COCOeval_faster(
            self._truth, detections, iou_type, print_function=lambda *_: None
        )
        evaluation.params.catIds = list(category_ids)
        evaluation.params.maxDets = list(_CAPS)
        evaluation.evaluate()
        evaluation.accumulate()
        found = (evaluation.eval[name] for name in ("precision", "recall"))
        precision, recall = (np.where(values > -1, values, np.nan) for values in found)
        return precision, recall

    def _add_classes(
        self,
        metrics: dict[str, float],
        precision: npt.NDArray[np.float64],
        category_ids: Sequence[int],
        iou_type: str,
    ) -> None:
        """Add the AP of each class, and log them as a table."""
        lines = [f"{iou_type:<20}{'truth':>8}{'mAP':>8}{'mAP_50':>8}{'mAP_75':>8}"]
        for index, category_id in enumerate(sorted(category_ids)):
            name = self._truth.cats[category_id]["name"]
            scores = _average_precisions(precision[:, :, index, 0])
            for key, value in scores.items():
                taken = f"{iou_type}_{key}_{name}" in metrics  # a class may be called "50"
                metrics[f"{iou_type}_{key}_{'class_' if taken else ''}{name}"] = value
            count = len(self._truth.getAnnIds(catIds=[category_id], iscrowd=False))
            columns = "".join(f"{scores[key]:>8.3f}" for key in ("mAP", "mAP_50", "mAP_75"))
            lines.append(f"{name:<20}{count:>8}{columns}")
        MMLogger.get_current_instance().info("\n" + "\n".join(lines))


def _read_truth(path: Path, with_masks: bool) -> COCO:
    """Read a COCO json and check what COCO's matching silently relies on."""
    data = read_coco_file(path)
    sizes = {image["id"]: [image["height"], image["width"]] for image in data["images"]}
    for number, annotation in enumerate(data["annotations"]):
        usable = {
            "image_id": annotation["image_id"] in sizes,
            "id": is_integer(annotation.get("id")),
            "bbox": is_box(annotation.get("bbox")),
            "area": is_finite(annotation.get("area")),
            "segmentation": not with_masks or bool(annotation.get("segmentation")),
        }
        if not all(usable.values()):
            raise UserError(
                f"Annotation {number} of {path} has no usable "
                f"{', '.join(key for key, fine in usable.items() if not fine)}: write the file "
                "again with data_prep/prepare.py."
            )
    if with_masks:
        _check_masks(data["annotations"], sizes, path)
    ids = [annotation["id"] for annotation in data["annotations"]]
    if len(set(ids)) < len(ids) or min(ids, default=1) < 1:
        raise UserError(
            f"The annotation ids of {path} must be unique and start at 1, because COCO takes 0 for "
            "'not matched': number the annotations again."
        )
    return COCO(data)


def _check_masks(
    annotations: Sequence[dict[str, Any]], sizes: dict[int, list[int]], path: Path
) -> None:
    """Refuse masks that are damaged or of another size: COCO's code trusts them."""
    by_image: dict[int, list[dict[str, Any]]] = {image_id: [] for image_id in sizes}
    for annotation in annotations:
        by_image[annotation["image_id"]].append(annotation)
    for image_id, of_image in by_image.items():
        size = sizes[image_id]
        compressed: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for annotation in of_image:
            mask = annotation["segmentation"]
            known = isinstance(mask, dict) and isinstance(mask.get("counts"), str)
            (compressed if known else others).append(annotation)
        _check_each(others, size, path)
        try:
            MaskRuns.from_rles([a["segmentation"] for a in compressed], *size)  # all at once
        except UserError:
            _check_each(compressed, size, path)  # names the annotation
            raise


def _check_each(annotations: Sequence[dict[str, Any]], size: list[int], path: Path) -> None:
    for annotation in annotations:
        try:
            compressed_mask(annotation["segmentation"], size)
        except UserError as error:
            raise UserError(
                f"Annotation {annotation['id']} of {path} cannot be used: {error}"
            ) from error


def _detection_records(
    images: Iterable[ImageDetections], category_ids: Sequence[int], iou_type: str
) -> list[dict[str, Any]]:
    """Detections as COCO's matching wants them, with ids from 1."""
    records: list[dict[str, Any]] = []
    for image in images:
        of_image = image.coco_records(category_ids)
        for record, mask_area in zip(of_image, image.areas.tolist(), strict=True):
            *_, width, height = record["bbox"]
            area = mask_area if iou_type == "segm" else width * height
            record.update(id=len(records) + 1, area=area, iscrowd=0)
            records.append(record)
    return records


def _summarize(
    precision: npt.NDArray[np.float64], recall: npt.NDArray[np.float64], iou_type: str
) -> dict[str, float]:
    """Means over classes, under the keys of :class:`CellCocoMetric`."""
    metrics = _average_precisions(precision[:, :, :, 0])
    for area, area_range in enumerate(_AREA_RANGES[1:], start=1):
        metrics[f"mAP_{area_range[0]}"] = mean_defined(precision[..., area, -1])
    for cap, limit in enumerate(_CAPS):
        metrics[f"AR_{limit}"] = mean_defined(recall[..., 0, cap])
    return {f"{iou_type}_{name}": value for name, value in metrics.items()}


def _average_precisions(precision: npt.NDArray[np.float64]) -> dict[str, float]:
    """AP, AP50 and AP75 at both caps.

    Args:
        precision: (IoU, recall level, …, cap), of one class or of several to average.
    """
    metrics = {}
    for cap, suffix in ((1, ""), (0, f"_dets{_CAPS[0]}")):
        # The IoU thresholds are 0.50, 0.55, …, 0.95.
        for name, thresholds in (("mAP", slice(None)), ("mAP_50", 0), ("mAP_75", 5)):
            metrics[f"{name}{suffix}"] = mean_defined(precision[thresholds, ..., cap])
    return metrics
