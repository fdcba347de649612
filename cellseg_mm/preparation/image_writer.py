"""Writing one image of the prepared layout: PNG, planes and annotation records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cellseg_mm.files.rgb_file import encode_rgb
from cellseg_mm.preparation.channel_order import Order, to_rgb
from cellseg_mm.preparation.class_table import ClassTable
from cellseg_mm.preparation.coco_annotations import Record, annotations_from_planes
from cellseg_mm.preparation.instances import collect_instances
from cellseg_mm.preparation.raw_layout import RawImage
from cellseg_mm.preparation.raw_reader import read_image, read_mask
from cellseg_mm.preparation.unlabelled_cells import UnlabelledCells
from cellseg_mm.structures.planes import pack_planes, write_planes

# Stored, not compressed: decoding takes a third of the time, which is what a loader waits for, and
# the file twice the size.
_PNG_OPTIONS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 0),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
]


class WrittenImage(NamedTuple):
    """The COCO records of an image, without the annotations' ids."""

    image: Record
    annotations: list[Record]


@dataclass(frozen=True)
class ImageWriter:
    """Writes images into a prepared folder: a picklable function of a :class:`RawImage`.

    Attributes:
        folder: The prepared folder, with `images/train`, `images/test` and `labels`.
        order: Channel order of the raw files.
        table: Translates the classes.
        unlabelled: Finds cells without a label, which are ignored; None = there are none.
    """

    folder: Path
    order: Order
    table: ClassTable
    unlabelled: UnlabelledCells | None = None

    def __call__(self, image: RawImage) -> WrittenImage:
        """Write one image.

        Raises:
            BadFileError: A raw file cannot be read (any more).
        """
        pixels = to_rgb(read_image(image.image_path), self.order)
        height, width, _ = pixels.shape
        file_name = f"{image.part}/{image.name}.png"
        (self.folder / "images" / file_name).write_bytes(encode_rgb(pixels, ".png", _PNG_OPTIONS))
        record: Record = {"id": image.image_id, "file_name": file_name}
        annotations: list[Record] = []
        if image.mask_paths is not None:
            masks = {
                number: read_mask(path, (height, width))[0]
                for number, path in image.mask_paths.items()
            }
            instances = collect_instances(masks)
            crops, classes = instances.crops, np.array((0, *self.table.numbers))[instances.classes]
            if self.unlabelled is not None:
                labelled = np.any([mask != 0 for mask in masks.values()] or [pixels[..., 0] < 0], 0)
                crops = crops + self.unlabelled.find(image.name, labelled, 1 + len(crops))
                classes = np.append(classes, np.zeros(len(crops) - len(classes), np.int64))
            planes = pack_planes(crops, height, width)
            record["label_file"] = f"{image.name}.tif"
            write_planes(self.folder / "labels" / record["label_file"], planes)
            annotations = annotations_from_planes(planes, classes, image.image_id)
        record |= {"height": height, "width": width}
        if image.mask_paths is not None and self.table.annotated is not None:
            record["annotated_category_ids"] = self.table.annotated
        if image.patient is not None:
            record["patient"] = image.patient
        if image.mpp is not None:
            record["mpp"] = image.mpp
        return WrittenImage(record, annotations)
