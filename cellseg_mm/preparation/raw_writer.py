"""Writes the raw layout: the task's own files, down to dtype, compression and channel order.

    RAW/train/<id>/image.tif          RGBA, alpha 255, red and blue swapped, LZW with predictor 2
    RAW/train/<id>/classK.tif         float64 instance ids, uncompressed; no file without instance
    RAW/test_release/<id>.tif         as image.tif
    RAW/test_gt/<id>/classK.tif       as above: the truth of a test image, for scoring
    RAW/test_image_name_to_ids.json   [{file_name, id, height, width}], ids from 1

The genuine files were written by OpenCV from RGBA arrays that it took for BGRA, hence the swap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.raw_layout import Part

# libtiff's default strip holds about this much; OpenCV, and so the genuine files, keep to it.
_STRIP_BYTES = 8192

LabelMap = npt.NDArray[np.integer]


def _rows_per_strip(row_bytes: int) -> int:
    return max(1, _STRIP_BYTES // row_bytes)


def write_image(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write a true-colour image (H, W, 3) uint8 as the task stores it."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise UserError(
            f"An image is (H, W, 3) uint8, got {rgb.dtype} of shape {rgb.shape} for {path}."
        )
    height, width, _ = rgb.shape
    stored = np.empty((height, width, 4), np.uint8)
    stored[..., :3] = rgb[..., ::-1]
    stored[..., 3] = 255
    tifffile.imwrite(
        path,
        stored,
        byteorder="<",
        photometric="rgb",
        extrasamples=["unassalpha"],
        compression="lzw",
        predictor=True,
        rowsperstrip=_rows_per_strip(4 * width),
        metadata=None,
        software=False,
    )


def write_class_masks(
    folder: Path, label_maps: Iterable[LabelMap | None], compact: bool = False
) -> None:
    """Write `class1.tif`, `class2.tif`, … and leave out the classes without a pixel.

    Args:
        folder: Existing folder.
        label_maps: One (H, W) map of instance ids a class, in class order; 0 = background. None is
            a class without a pixel.
        compact: Compressed 32-bit ids in place of the task's float64, for large images.
    """
    number = 0
    for label_map in label_maps:  # enumerate would keep each until the next one is there
        number += 1
        if label_map is None or not label_map.any():
            continue
        tifffile.imwrite(
            folder / f"class{number}.tif",
            label_map.astype(np.uint32 if compact else np.float64, copy=False),
            byteorder="<",
            photometric="minisblack",
            compression="zlib" if compact else None,
            rowsperstrip=64 if compact else _rows_per_strip(8 * label_map.shape[1]),
            metadata=None,
            software=False,
        )
        del label_map  # before the next one is made


class RawDatasetWriter:
    """Writes one data set in the raw layout, image by image.

    Args:
        root: Existing, empty folder.
        compact: See :func:`write_class_masks`.
    """

    def __init__(self, root: Path, compact: bool = False) -> None:
        self._root = root
        self._compact = compact
        self._test_images: list[dict[str, str | int]] = []
        for split in ("train", "test_release"):
            (root / split).mkdir()

    def add(
        self,
        part: Part,
        image_id: str,
        rgb: npt.NDArray[np.uint8],
        label_maps: Iterable[LabelMap | None],
    ) -> None:
        """Write an image (H, W, 3) and its truth, an (H, W) map of instance ids a class.

        Test images are numbered as they come.
        """
        if part == "train":
            folder = self._root / "train" / image_id
            folder.mkdir()
            write_image(folder / "image.tif", rgb)
        else:
            file_name, (height, width, _) = f"{image_id}.tif", rgb.shape
            write_image(self._root / "test_release" / file_name, rgb)
            number = len(self._test_images) + 1
            self._test_images.append(
                {"file_name": file_name, "id": number, "height": height, "width": width}
            )
            folder = self._root / "test_gt" / image_id
            folder.mkdir(parents=True)
        write_class_masks(folder, label_maps, self._compact)

    def finish(self) -> None:
        """Write `test_image_name_to_ids.json`; call once, after the last image."""
        text = json.dumps(self._test_images, indent=4)
        (self._root / "test_image_name_to_ids.json").write_text(text + "\n", encoding="utf-8")
