"""What one raw image holds, and everything that is wrong with its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.channel_order import blue_excess
from cellseg_mm.preparation.image_fingerprint import Fingerprint, fingerprint
from cellseg_mm.preparation.instances import ImageInstances, collect_instances
from cellseg_mm.preparation.overlapping_cells import OverlappingCells, overlapping_cells
from cellseg_mm.preparation.problems import BadFileError, Problem
from cellseg_mm.preparation.raw_layout import Part, RawImage
from cellseg_mm.preparation.raw_reader import image_size, read_image, read_mask

Alpha = Literal["none", "opaque", "not opaque"]


class ClassFile(NamedTuple):
    """A class file of an image.

    Attributes:
        state: "absent" (no file), "empty" (only zeros) or "present".
        dtype: Type of the values in the file, None if absent.
        instances: Number of instances.
    """

    state: Literal["absent", "empty", "present"]
    dtype: str | None
    instances: int


@dataclass(frozen=True)
class ImageInspection:
    """What one image holds.

    Attributes:
        name: Name of the image.
        part: "train" or "test".
        height, width: Pixels.
        channels: Number of channels in the file.
        dtype: Type of the image's values.
        alpha: Whether there is an alpha channel, and whether it is 255 everywhere.
        content: SHA-256 of the size and the first three channels.
        class_files: By class number from 1; None where the image has no truth.
        shared_ids: Raw ids that occur in more than one class.
        overlap_pixels: Pixels that lie in more than one class file.
        fragmented: Numbers, from 1, of the instances of more than one 8-connected piece.
        overlapping: Pairs of instances that share pixels.
        classes: (N,) number of each instance's class in the prepared data set, 0 where it is
            ignored.
        areas: (N,) pixels.
        boxes: (N, 4) xyxy in pixels, half-open.
        blue_excess: See :func:`cellseg_mm.preparation.channel_order.blue_excess`.
        fingerprint: See :func:`cellseg_mm.preparation.image_fingerprint.fingerprint`.
    """

    name: str
    part: Part
    height: int
    width: int
    channels: int
    dtype: str
    alpha: Alpha
    content: str
    class_files: Mapping[int, ClassFile] | None
    shared_ids: list[int]
    overlap_pixels: int
    fragmented: list[int]
    overlapping: OverlappingCells
    classes: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]
    blue_excess: float | None
    fingerprint: Fingerprint | None

    @property
    def place(self) -> str:
        """The image as warnings name it."""
        return f"{self.part}/{self.name}"

    @property
    def box_sides(self) -> npt.NDArray[np.int64]:
        """(N,) longer side of each box, pixels."""
        sides: npt.NDArray[np.int64] = self.boxes[:, 2:] - self.boxes[:, :2]
        return sides.max(axis=1, initial=0)


@dataclass(frozen=True)
class ImageInspector:
    """Inspects images: a picklable function of a :class:`RawImage`.

    Attributes:
        targets: For each of the C raw classes, the number of its class in the prepared data set, 0
            where its instances are ignored.
    """

    targets: tuple[int, ...]

    def __call__(self, image: RawImage) -> ImageInspection | list[Problem]:
        """Read all files of an image: the inspection, or every problem of the files."""
        problems: list[Problem] = []
        size = pixels = None
        try:
            size = image_size(image.image_path)
            pixels = read_image(image.image_path)
        except BadFileError as error:
            problems.append(error.problem)
        if size and image.stated_size and size != image.stated_size:
            problems.append(
                Problem(
                    image.image_path,
                    "the image is {} × {} pixels (height × width), the list of test images says "
                    "{} × {}".format(*size, *image.stated_size),
                    "correct the list or replace the image",
                )
            )
        masks: dict[int, npt.NDArray[np.integer]] = {}
        class_files: dict[int, ClassFile] = {}
        for number, path in (image.mask_paths or {}).items():
            try:
                masks[number], dtype = read_mask(path, size)
            except BadFileError as error:
                problems.append(error.problem)
            else:
                class_files[number] = ClassFile("empty", str(dtype), 0)
        if problems or pixels is None:
            return problems
        instances = collect_instances(masks)
        counts = np.bincount(instances.classes, minlength=len(self.targets) + 1)
        for number in range(1, len(self.targets) + 1):
            file = class_files.get(number, ClassFile("absent", None, 0))
            if counts[number]:
                file = ClassFile("present", file.dtype, int(counts[number]))
            class_files[number] = file
        cover = np.zeros(pixels.shape[:2], np.uint8) + sum(m != 0 for m in masks.values())
        ids, uses = np.unique(instances.raw_ids, return_counts=True)
        return ImageInspection(
            name=image.name,
            part=image.part,
            height=pixels.shape[0],
            width=pixels.shape[1],
            channels=pixels.shape[2],
            dtype=str(pixels.dtype),
            alpha=_alpha(pixels),
            content=_digest(pixels),
            class_files=(None if image.mask_paths is None else dict(sorted(class_files.items()))),
            shared_ids=ids[uses > 1].tolist(),
            overlap_pixels=int(np.count_nonzero(cover > 1)),
            fragmented=_fragmented(instances),
            overlapping=overlapping_cells(instances, masks, cover),
            classes=np.array((0, *self.targets))[instances.classes],
            areas=instances.areas,
            boxes=instances.boxes,
            blue_excess=blue_excess(pixels, cover > 0),
            fingerprint=fingerprint(pixels),
        )


def _alpha(pixels: npt.NDArray[np.uint8]) -> Alpha:
    if pixels.shape[2] < 4:
        return "none"
    return "opaque" if (pixels[..., 3] == 255).all() else "not opaque"


def _digest(pixels: npt.NDArray[np.uint8]) -> str:
    digest = hashlib.sha256("{}x{}:".format(*pixels.shape[:2]).encode())
    digest.update(pixels[..., :3].tobytes())
    return digest.hexdigest()


def _fragmented(instances: ImageInstances) -> list[int]:
    # Two labels, background and the one piece, are what an instance should have.
    return [
        crop.instance_id
        for crop in instances.crops
        if crop.bitmap.size > 1
        and cv2.connectedComponents(crop.bitmap.view(np.uint8), connectivity=8)[0] > 2
    ]
