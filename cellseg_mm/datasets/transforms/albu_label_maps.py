"""Albumentations on images with planes."""

from __future__ import annotations

import copy
import difflib
import inspect
import random
import warnings
from collections.abc import Iterator
from typing import Any

import albumentations
import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

from cellseg_mm.errors import UserError
from cellseg_mm.structures.label_map_masks import LabelMapMasks


@TRANSFORMS.register_module()
class AlbuLabelMaps(BaseTransform):
    """Apply any Albumentations pipeline to an image and its planes.

    Image and planes are warped together, once, whatever the number of cells. Boxes, labels and
    masks are then rebuilt from the warped planes, so a box is always tight. Cells that leave the
    image, and fragments smaller than ``min_area``, are dropped; an image that loses every cell is a
    valid sample without cells.

    Random numbers come from NumPy's global generator, which MMEngine seeds for each run and
    :func:`~cellseg_mm.datasets.worker_seeding.seed_worker` for each worker and epoch.

    Required Keys:

    - img (np.uint8, BGR)
    - gt_masks (LabelMapMasks) (optional)
    - gt_bboxes_labels (np.int64) (optional)
    - gt_ignore_flags (bool) (optional)

    Modified Keys:

    - img
    - img_shape
    - gt_masks (optional)
    - gt_bboxes (HorizontalBoxes[torch.float32]) (optional)
    - gt_bboxes_labels (optional)
    - gt_ignore_flags (optional)

    Args:
        transforms: Albumentations transforms as dicts: ``type`` is the class's name, the rest its
            arguments; nested lists under ``transforms``. They see the image as RGB.
        min_area: Smallest cell that is kept, pixels; also drops cells that were as small before.

    Raises:
        ValueError: A name or an argument is unknown to Albumentations, a value is not valid, or
            masks would not be warped with nearest neighbours and background around them.
    """

    def __init__(self, transforms: list[dict[str, Any]], min_area: int = 1) -> None:
        if min_area < 1:
            raise UserError(f"min_area={min_area}: it counts pixels, so set 1 or more.")
        self.transforms = copy.deepcopy(transforms)
        self.min_area = min_area
        pipeline = [_build(transform) for transform in transforms]
        for transform in _leaves(pipeline):
            _check_mask_arguments(transform)
        self._compose = albumentations.Compose(pipeline)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Warp ``results`` in place and return it."""
        self._seed()
        inputs = {"image": cv2.cvtColor(results["img"], cv2.COLOR_BGR2RGB)}
        masks: LabelMapMasks | None = results.get("gt_masks")
        if masks is not None:
            inputs["masks"] = _warpable(masks.planes)
        outputs = self._compose(**inputs)
        image = np.ascontiguousarray(outputs["image"])
        results["img"] = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        results["img_shape"] = image.shape[:2]
        if masks is not None:
            self._rebuild(results, masks.ids, outputs["masks"])
        return results

    def _seed(self) -> None:
        """Give all transforms one pair of generators, seeded from NumPy's global one.

        Left alone, they would keep generators of their own, which forked workers share. Compose's
        ``set_random_seed`` gives each transform the same seed, so that those with p=0.5 are applied
        together or not at all.
        """
        seed = int(np.random.randint(1 << 31))  # noqa: NPY002
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))

    def _rebuild(
        self, results: dict[str, Any], ids: npt.NDArray[np.int64], warped: npt.NDArray[Any]
    ) -> None:
        masks = LabelMapMasks(np.ascontiguousarray(warped, np.int32), ids)
        boxes, areas = masks.extents()
        # An ignored cell stays: without it, its pixels would be learned as background.
        least = np.where(results.get("gt_ignore_flags", False), 1, self.min_area)
        kept = np.flatnonzero(areas >= least)
        results["gt_masks"] = masks[kept]
        results["gt_bboxes"] = HorizontalBoxes(boxes[kept].astype(np.float32))
        for key in ("gt_bboxes_labels", "gt_ignore_flags"):
            if key in results:
                results[key] = results[key][kept]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(transforms={self.transforms}, min_area={self.min_area})"


def _build(config: dict[str, Any]) -> Any:
    """Build a transform from its config, refusing what Albumentations would only warn about."""
    if not isinstance(config, dict) or not isinstance(config.get("type"), str):
        raise UserError(f"A transform is a dict with the key 'type', but got {config!r}.")
    arguments = dict(config)
    name = arguments.pop("type")
    cls = getattr(albumentations, name, None)
    if not (
        inspect.isclass(cls) and issubclass(cls, (albumentations.BasicTransform, _COMPOSITION))
    ):
        raise UserError(
            f"Albumentations {albumentations.__version__} has no transform {name!r}"
            f"{_nearest(name, dir(albumentations))}."
        )
    known = set(inspect.signature(cls.__init__).parameters) - {"self"}
    for argument in arguments:
        if argument not in known:
            raise UserError(
                f"{name} has no argument {argument!r}{_nearest(argument, known)}; it takes "
                f"{', '.join(sorted(known))}."
            )
    if "transforms" in arguments:
        arguments["transforms"] = [_build(t) for t in arguments["transforms"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return cls(**arguments)
        except (ValueError, TypeError, UserWarning) as error:
            raise UserError(f"{name} cannot be built from {config}: {error}") from error


def _check_mask_arguments(transform: Any) -> None:
    """Refuse what would change ids, make pixels of some, or mirror cells at the border."""
    for argument, good in (
        ("mask_interpolation", (cv2.INTER_NEAREST,)),
        ("fill_mask", (0, 0.0, None)),
        ("border_mode", (cv2.BORDER_CONSTANT,)),
    ):
        value = getattr(transform, argument, good[0])
        if value not in good:
            raise UserError(
                f"{type(transform).__name__}({argument}={value}) would spoil the instances of a "
                f"label map: leave it at {good[0]}."
            )


_COMPOSITION = albumentations.BaseCompose


def _nearest(name: str, names: Any) -> str:
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _leaves(transforms: list[Any]) -> Iterator[Any]:
    for transform in transforms:
        if isinstance(transform, _COMPOSITION):
            yield from _leaves(list(transform.transforms))
        else:
            yield transform


def _warpable(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Planes in a dtype that OpenCV warps: uint16, or float32, which holds ids up to 2^24."""
    return planes.astype(np.uint16 if planes.max(initial=0) < 1 << 16 else np.float32)
