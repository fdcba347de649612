"""What a model found in one image, checked and small: the input of metrics and submissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pycocotools import mask as coco_mask

from cellseg_mm.errors import UserError
from cellseg_mm.structures.rle_masks import RLEMasks


@dataclass(frozen=True)
class ImageDetections:
    """The N detections of one image, on the CPU.

    Attributes:
        image_id: COCO image id.
        boxes: (N, 4) float64, xyxy, pixels.
        scores: (N,) float64.
        labels: (N,) int64 class indices from 0.
        masks: N masks, each with a pixel.
        areas: (N,) int64, their pixels.
    """

    image_id: int
    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    masks: RLEMasks
    areas: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.masks)

    @classmethod
    def none(cls, image_id: int) -> ImageDetections:
        """An image in which nothing was found."""
        numbers, integers = np.zeros(0), np.zeros(0, np.int64)
        masks = RLEMasks([], 0, 0)
        return cls(image_id, numbers.reshape(0, 4), numbers, integers, masks, integers)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every mask, pixels; None where there is no detection."""
        return (self.masks.height, self.masks.width) if len(self) else None

    def coco_records(self, category_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The detections as a COCO result list; `category_ids` has the category of each label."""
        boxes = np.hstack([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]])
        return [
            {
                "image_id": self.image_id,
                "bbox": box,
                "score": score,
                "category_id": category_ids[label],
                "segmentation": rle,
            }
            for rle, box, score, label in zip(
                self.masks, boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True
            )
        ]

    def only(self, chosen: npt.NDArray[np.bool_]) -> ImageDetections:
        """Some of the detections; `chosen` is (N,)."""
        return ImageDetections(
            self.image_id,
            self.boxes[chosen],
            self.scores[chosen],
            self.labels[chosen],
            self.masks[chosen],
            self.areas[chosen],
        )

    @classmethod
    def from_data_sample(cls, data_sample: Mapping[str, Any]) -> ImageDetections:
        """Read MMDetection's result for one image.

        Detections whose mask has no pixel are left out, here and thus in every metric and file.

        Args:
            data_sample: A `DetDataSample` as a dict: `img_id` and `pred_instances` with `bboxes`
                (xyxy), `scores`, `labels` and `masks`, which are a sequence of COCO RLE dicts or a
                bool tensor (N, H, W).

        Raises:
            ValueError: The model gave no masks, numbers of different lengths, scores or boxes that
                are not finite, or masks of several sizes.
        """
        image_id = int(data_sample["img_id"])
        instances = data_sample["pred_instances"]
        if "masks" not in instances:
            raise UserError(
                f"The model gave no masks for image {image_id}: set `with_mask` and a `mask_head`."
            )
        boxes = _to_numpy(instances["bboxes"], torch.float64).reshape(-1, 4)
        scores = _to_numpy(instances["scores"], torch.float64)
        labels = _to_numpy(instances["labels"], torch.int64)
        masks = _read_masks(instances["masks"], image_id)
        if not len(boxes) == len(scores) == len(labels) == len(masks):
            raise UserError(
                f"The model gave {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels "
                f"and {len(masks)} masks for image {image_id}, but each detection has one of each."
            )
        if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
            raise UserError(
                f"The model gave scores or boxes that are not finite for image {image_id}: "
                "its weights have diverged, or its input is broken."
            )
        areas = masks.runs.areas
        return cls(image_id, boxes, scores, labels, masks, areas).only(areas > 0)


def _to_numpy(tensor: torch.Tensor, dtype: torch.dtype) -> npt.NDArray[Any]:
    return tensor.detach().to("cpu", dtype).numpy()


def _read_masks(masks: torch.Tensor | Sequence[Mapping[str, Any]], image_id: int) -> RLEMasks:
    """The masks of one size, encoded where they are bitmaps."""
    if isinstance(masks, RLEMasks):
        return masks
    if isinstance(masks, torch.Tensor):
        bitmaps = masks.detach().to("cpu", torch.uint8).numpy()
        rles = [coco_mask.encode(np.asfortranarray(bitmap)) for bitmap in bitmaps]
    else:
        rles = [masks[index] for index in range(len(masks))]
    sizes = {(int(rle["size"][0]), int(rle["size"][1])) for rle in rles}
    if len(sizes) > 1:
        raise UserError(f"The masks of image {image_id} have several sizes: {sorted(sizes)}.")
    # JSON needs a str, and evaluators silently skip an instance whose counts are bytes.
    counts = [c.decode("ascii") if isinstance(c := rle["counts"], bytes) else c for rle in rles]
    return RLEMasks(counts, *next(iter(sizes), (0, 0)))
