"""The prepared layout as an MMDetection data set."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from cellseg_mm.datasets.transforms.resize_to_mpp import ResizeToMpp
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.rgb_file import read_rgb, require_size
from cellseg_mm.structures.coco_records import record_boxes, record_ids
from cellseg_mm.structures.palette import CLASS_COLOURS, class_palette


@DATASETS.register_module()
class CellDataset(CocoDataset):
    """Images, planes and COCO annotations as ``data_prep/prepare.py`` writes them.

    A sample's instances are arrays, not a list of dicts, so that a worker unpickles an image with
    thousands of cells as fast as one with ten. Keys of a sample:

    - ``img_path``, ``img_id``, ``height``, ``width``; ``patient`` and ``mpp`` (µm per pixel) where
      they are known
    - ``label_path``: the planes, for ``LoadCellLabels``; absent for images without truth
    - ``bboxes``: (N, 4) float32, xyxy in pixels, tight and half-open
    - ``labels``: (N,) int64, index into the classes; -1 for a cell to ignore (``iscrowd``)
    - ``instance_ids``: (N,) int64, the values in the planes
    - ``unannotated``: labels of the classes that the image is not annotated for; absent where it is
      annotated for all

    Images without cells are kept. Another set of classes goes into the config as
    ``metainfo=dict(classes=(...), palette=[...])``; they are found by name.

    Args:
        ann_file: COCO annotations, relative to ``data_root``.
        data_prefix: Folders of images and planes, relative to ``data_root``.
        **kwargs: Those of ``CocoDataset``.

    Raises:
        FileNotFoundError: The annotation file does not exist.
        ValueError: A class is not among the annotation file's categories.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": ("epithelial", "lymphocyte", "neutrophil", "macrophage"),
        "palette": class_palette(len(CLASS_COLOURS)),
    }

    def __init__(
        self,
        ann_file: str = "",
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        prefix = {"img": "images/", "label": "labels/"} if data_prefix is None else data_prefix
        super().__init__(ann_file=ann_file, data_prefix=prefix, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file: one dict for each image."""
        if not Path(self.ann_file).is_file():
            raise MissingFileError(
                f"The annotation file {self.ann_file} does not exist: write it with "
                "'python data_prep/prepare.py RAW --out DIR' and set data_root=DIR."
            )
        self._left_out: Counter[str] = Counter()
        try:
            samples: list[dict[str, Any]] = super().load_data_list()
        except UserError:
            raise
        except (
            *(ArithmeticError, AssertionError, AttributeError),
            *(LookupError, TypeError, ValueError),
        ) as error:
            raise UserError(
                f"{self.ann_file} is not an annotation file of data_prep/prepare.py ({error!r}): "
                "prepare the data set with it, and convert COCO files of other tools before, with "
                "data_prep/convert.py coco."
            ) from error
        if not samples:
            raise UserError(
                f"{self.ann_file} lists no image: choose another split, or prepare a data set with "
                "such images."
            )
        self._warn_of_unknown_scales(samples)
        if not self.test_mode:
            self._warn_of_other_classes()
        return samples

    def _warn_of_unknown_scales(self, samples: Sequence[Mapping[str, Any]]) -> None:
        scales = [step.mpp for step in self.pipeline.transforms if isinstance(step, ResizeToMpp)]
        unknown = sum("mpp" not in sample for sample in samples)
        if any(scales) and unknown:
            print_log(
                f"{self.ann_file}: {unknown} of {len(samples)} images do not state their µm per "
                f"pixel; they are taken as they are, as if of {scales[0]:g}. Write mpp into "
                f"dataset.json, or convert with --mpp, and prepare the data set again.",
                "current",
                logging.WARNING,
            )

    def _warn_of_other_classes(self) -> None:
        """Cells of classes that are not asked for teach that they are background."""
        if self._left_out:
            counts = (f"{count:,} {name}" for name, count in self._left_out.items())
            print_log(
                f"{self.ann_file}: cells of classes that are not in metainfo.classes count as "
                f"background: {', '.join(counts)}. To leave them out of training and scores, "
                "prepare with a --class-table that has `ignore` for them.",
                "current",
                logging.WARNING,
            )

    def prepare_data(self, idx: int) -> Any:
        """Load and transform image ``idx``.

        Raises:
            UserError: The image is damaged, or (when testing) of another size than is noted.
        """
        try:
            sample = super().prepare_data(idx)
        except Exception:
            # MMCV's loader fails on a damaged image in ways of its own; this names the file.
            read_rgb(self.get_data_info(idx)["img_path"])
            raise
        if self.test_mode and sample is not None and "data_samples" in sample:
            info, found = self.get_data_info(idx), sample["data_samples"].get("ori_shape")
            noted = (info["height"], info["width"])
            require_size(info["img_path"], found or noted, noted)
        return sample

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Turn an image record and its annotations into a sample."""
        image = raw_data_info["raw_img_info"]
        labels = self._labels()
        records = [
            record
            for record in raw_data_info["raw_ann_info"]
            if record["category_id"] in labels and not record.get("iscrowd")
        ]
        cells = len(records)
        self._left_out.update(
            self.coco.cats[record["category_id"]]["name"]
            for record in raw_data_info["raw_ann_info"]
            if record["category_id"] not in labels and not record.get("iscrowd")
        )
        # An ignored cell of ours stands in the file once for each category.
        records += {
            record["instance_id"]: record
            for record in raw_data_info["raw_ann_info"]
            if record.get("iscrowd") and isinstance(record.get("instance_id"), int)
        }.values()
        height, width = image["height"], image["width"]
        sample = {
            "img_path": str(Path(self.data_prefix["img"], image["file_name"])),
            "img_id": image["img_id"],
            "height": height,
            "width": width,
            "bboxes": record_boxes(records, height, width, self.ann_file).astype(np.float32),
            "labels": np.array(
                [labels[r["category_id"]] for r in records[:cells]] + [-1] * (len(records) - cells),
                np.int64,
            ),
            "instance_ids": record_ids(records, self.ann_file),
        }
        if "label_file" in image:
            sample["label_path"] = str(Path(self.data_prefix["label"], image["label_file"]))
        if (annotated := image.get("annotated_category_ids")) is not None:
            sample["unannotated"] = [v for k, v in labels.items() if k not in annotated]
        for key in ("patient", "mpp"):
            if key in image:
                sample[key] = image[key]
        return sample

    def _labels(self) -> dict[int, int]:
        """Label of each category id, by name; the stock class goes by the order of the file."""
        ids = {category["name"]: category["id"] for category in self.coco.dataset["categories"]}
        missing = [name for name in self.metainfo["classes"] if name not in ids]
        if missing:
            raise UserError(
                f"{self.ann_file} has no category {', '.join(missing)}; it has "
                f"{', '.join(ids)}: set metainfo.classes to those, or prepare the data set with a "
                "--class-table of all classes."
            )
        return {ids[name]: label for label, name in enumerate(self.metainfo["classes"])}

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of the cells of image ``idx``, for samplers that balance classes."""
        labels: list[int] = self.get_data_info(idx)["labels"].tolist()
        return [label for label in labels if label >= 0]
