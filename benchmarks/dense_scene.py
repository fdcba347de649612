"""A dense image with its truth, the same sample for stock MMDetection and this project."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.planes import pack_planes, read_planes

if TYPE_CHECKING:  # stages import this module first: cellseg_mm comes before mmdet
    from mmdet.structures.mask import BitmapMasks


@dataclass(frozen=True, eq=False)
class DenseScene:
    """One image.

    Attributes:
        rgb: (H, W, 3) uint8, true colour.
        planes: (P, H, W) int32 ids 1 … N, each with pixels.
        labels: (N,) int64 class of each id, from 0.
    """

    rgb: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int64]

    @property
    def name(self) -> str:
        """How tables call it."""
        height, width = self.rgb.shape[:2]
        return f"{height}×{width}, {len(self.labels):,} cells"

    @cached_property
    def masks(self) -> LabelMapMasks:
        """The truth as this project holds it."""
        return LabelMapMasks(self.planes, np.arange(1, len(self.labels) + 1))

    def bitmap_masks(self) -> BitmapMasks:
        """The truth as stock MMDetection holds it: N × H × W bytes, so it is not kept."""
        from mmdet.structures.mask import BitmapMasks

        return BitmapMasks(self.masks.to_ndarray(), *self.rgb.shape[:2])

    def sample(self, masks: LabelMapMasks | BitmapMasks) -> dict[str, Any]:
        """A sample as a pipeline's transforms pass it on, ``img`` in the order BGR."""
        height, width = self.rgb.shape[:2]
        return {
            "img": np.ascontiguousarray(self.rgb[..., ::-1]),
            "img_id": 1,
            "img_path": "image.png",
            "img_shape": (height, width),
            "ori_shape": (height, width),
            "scale_factor": (1.0, 1.0),
            "gt_masks": masks,
            "gt_bboxes": self.masks.get_bboxes(),
            "gt_bboxes_labels": self.labels.copy(),
            "gt_ignore_flags": np.zeros(len(self.labels), bool),
        }


@cache
def synthetic_scene(side: int, cells: int, seed: int = 0) -> DenseScene:
    """Paint an image of side × side pixels."""
    image = synthesize_image(np.random.default_rng([seed, side, cells]), side, side, cells)
    planes = pack_planes((cell.crop for cell in image.cells), side, side)
    return DenseScene(image.rgb, planes, np.array([c.class_id - 1 for c in image.cells], np.int64))


def prepared_scene(data: Path, cells: int) -> DenseScene:
    """The training image of a prepared data set whose number of cells is nearest to ``cells``."""
    truth = json.loads((data / "annotations" / "train.json").read_text(encoding="utf-8"))
    categories: dict[int, list[int]] = {image["id"]: [] for image in truth["images"]}
    for annotation in truth["annotations"]:  # in the order of the ids within an image
        categories[annotation["image_id"]].append(annotation["category_id"])
    image = min(truth["images"], key=lambda image: abs(len(categories[image["id"]]) - cells))
    bgr = cv2.imread(str(data / "images" / image["file_name"]))
    planes = read_planes(data / "labels" / image["label_file"])
    labels = np.array(categories[image["id"]], np.int64) - 1
    return DenseScene(np.ascontiguousarray(bgr[..., ::-1]), planes, labels)
