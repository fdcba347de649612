"""A trained model that finds the cells of regions."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor, nn

import cellseg_mm.register  # noqa: F401 - the network's classes
from cellseg_mm.errors import UserError
from cellseg_mm.inference.network_size import no_larger_than_weights
from cellseg_mm.models.deployed.cell_detector import (
    RESERVE,
    CellDetector,
    Detections,
    can_deploy,
    near_border,
)
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import cells_of
from cellseg_mm.models.test_time.views import VIEWS
from cellseg_mm.runs.model_bundle import ModelBundle
from cellseg_mm.runs.test_time_settings import within_test_time
from cellseg_mm.structures.probability_masks import ProbabilityMasks
from cellseg_mm.structures.rle_masks import RLEMasks


class CellFinder:
    """Finds the cells of regions, with the bundle's test pipeline.

    A plain Mask R-CNN runs as a :class:`~cellseg_mm.models.deployed.cell_detector.CellDetector`;
    cascades, and any network with several views, run as tools/test.py runs them.

    Args:
        bundle: The model.
        device: "cpu", "cuda", "cuda:1", …, or "auto": a GPU where there is one.
        views: "identity", "flips" (4 views) or "dihedral" (8): each region is seen so many times.
        full_area: Pixels of a region that gets the most proposals; smaller ones get fewer in
            proportion, so that the cells do not depend on how an image is cut. None = all alike.

    Attributes:
        classes: Names of the classes.
        device: Where the model runs.
        max_per_region: The most cells that it returns for a region; below 1, there is no limit.

    Raises:
        UserError: The device or the views are not known, or the weights do not fit.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        device: str = "auto",
        views: str = "identity",
        full_area: int | None = None,
    ) -> None:
        if views not in VIEWS:
            raise UserError(f"There are no views {views!r}: choose one of {', '.join(VIEWS)}.")
        self.classes = bundle.classes
        self.device = choose_device(device)
        rcnn = bundle.model.test_cfg.rcnn
        self.max_per_region: int = rcnn.max_per_img
        self._min_scores = torch.tensor([bundle.threshold(name) for name in bundle.classes])
        self._mask_threshold: float = rcnn.mask_thr_binary
        model: Any = _built(bundle, views).to(self.device)
        self._preprocessor: Any = getattr(model, "data_preprocessor", None)
        self._detector: CellDetector | None = None
        if can_deploy(model) and _keeps_pixels(bundle.test_pipeline):
            self._detector = CellDetector(model, full_area)
            self.max_per_region = self._detector.max_per_image
            return
        if views == "identity":  # of views, low scores count, too: they are averaged
            model.roi_head.test_cfg.nms.class_agnostic = True
        self._model = model
        with DefaultScope.overwrite_default_scope("mmdet"):
            steps = [{"type": "LoadImageFromNDArray"}, *bundle.test_pipeline[1:]]
            self._pipeline = Compose(steps)

    def __call__(
        self, regions: Sequence[Tensor], min_score: float | None = None, margin: int = 0
    ) -> list[list[DetectedCell]]:
        """Find the cells of regions.

        Args:
            regions: (3, h, w) uint8, RGB, each. Those of one size go through the network together.
            min_score: Least score of a cell; None = the bundle's, by class.
            margin: So near to a region's border, pixels, half the least score is enough: which
                cells count is told when regions are brought together.

        Returns:
            The cells of each region, best first, in its pixels. Those without a pixel in their mask
            are left out. Without a ``CellDetector`` they have no ``probabilities``.

        Raises:
            UserError: The network's masks are of another kind than ``CellMaskHead`` gives.
        """
        least = self.min_scores(min_score)
        if self._detector is None:
            return [self._predict(region, least, margin) for region in regions]
        return self._detect(self._detector, regions, least, margin)

    def min_scores(self, min_score: float | None) -> Tensor:
        """Least score of each class, (C,) float32; arguments as for a call."""
        if min_score is None:
            return self._min_scores
        return torch.full_like(self._min_scores, min_score)

    def _detect(
        self, detector: CellDetector, regions: Sequence[Tensor], min_scores: Tensor, margin: int
    ) -> list[list[DetectedCell]]:
        groups: dict[torch.Size, list[int]] = {}
        for index, region in enumerate(regions):
            groups.setdefault(region.shape, []).append(index)
        found: list[list[DetectedCell]] = [[] for _ in regions]
        for (_, height, width), members in groups.items():
            images = self._normalised(torch.stack([regions[i] for i in members]))
            sizes = [(height, width)] * len(members)
            results = detector(images, sizes, min_scores.to(self.device), margin)
            for index, detections in zip(members, results, strict=True):
                found[index] = self._cells(detections, height, width)
        return found

    def _normalised(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) uint8, RGB, as the detector's own preprocessor makes them."""
        settings = self._preprocessor
        images = images.to(self.device, non_blocking=True)
        if not settings._channel_conversion:  # the network takes BGR
            images = images.flip(1)
        divisor = settings.pad_size_divisor
        bottom, right = (-side % divisor for side in images.shape[2:])
        images = images.contiguous(memory_format=torch.channels_last).float()
        images = images.sub_(settings.mean).div_(settings.std)
        return F.pad(images, (0, right, 0, bottom)) if right or bottom else images

    def _cells(self, found: Detections, height: int, width: int) -> list[DetectedCell]:
        grids = ProbabilityMasks(found.masks, found.mask_boxes, height, width)
        crops = grids.to_rle(self._mask_threshold).runs.crops()
        values = (found.boxes, found.scores, found.labels, found.probabilities)
        return [
            DetectedCell(
                tuple(box), score, label, crop.left, crop.top, crop.bitmap, tuple(probabilities)
            )
            for crop, box, score, label, probabilities in zip(
                crops, *(value.tolist() for value in values), strict=True
            )
            if crop.bitmap.size
        ]

    @torch.no_grad()
    def _predict(self, region: Tensor, min_scores: Tensor, margin: int) -> list[DetectedCell]:
        """As tools/test.py does it."""
        if hasattr(self._model, "roi_head"):
            self._model.roi_head.test_cfg.score_thr = float(min_scores.min()) * (
                RESERVE if margin else 1
            )
        # The pipeline takes images as OpenCV reads them: BGR, channels last.
        bgr = region.flip(0).permute(1, 2, 0).contiguous().numpy()
        sample = self._pipeline({"img": bgr, "img_id": 0})
        batch = {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
        with DefaultScope.overwrite_default_scope("mmdet"):
            found: InstanceData = self._model.test_step(batch)[0].pred_instances
        if not len(found):
            return []
        if not isinstance(found.masks, RLEMasks):
            raise UserError(
                f"The model's masks are a {type(found.masks).__name__}: use CellMaskHead, or a "
                "subclass, as its mask_head."
            )
        near = near_border(found.bboxes, (region.shape[1], region.shape[2]), margin)
        least = min_scores.to(near.device)[found.labels] * torch.where(near, RESERVE, 1.0)
        found = found[found.scores >= least]
        return list(cells_of(found, 0, 0))


def _built(bundle: ModelBundle, views: str) -> nn.Module:
    """The network with its weights, in evaluation mode.

    Raises:
        UserError: The network cannot be built, or the weights do not fit it.
    """
    config = copy.deepcopy(bundle.model)
    config.setdefault("train_cfg", None)
    if views != "identity":
        config = within_test_time(config, 1, views=views)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("WARNING")  # timm's backbones tell their channels
    try:
        with DefaultScope.overwrite_default_scope("mmdet"), no_larger_than_weights(bundle):
            model: nn.Module = MODELS.build(config)
    except UserError:
        raise
    except Exception as error:  # of any class that the network names
        raise UserError(
            f"The network of the model {bundle.name} cannot be built "
            f"({' '.join(str(error).split())[:200]}): publish it again."
        ) from error
    finally:
        logger.setLevel(level)
    for detector in getattr(model, "detectors", [model]):
        try:
            detector.load_state_dict(bundle.state_dict())
        except RuntimeError as error:
            reason = textwrap.shorten(str(error).splitlines()[1], 160)
            raise UserError(
                f"The weights of the model {bundle.name} do not fit its network. {reason}"
            ) from error
    return model.eval()


def choose_device(device: str) -> torch.device:
    """The device that a user names.

    Raises:
        UserError: This machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"There is no device {device!r} here ({str(error).splitlines()[0]}): use cpu or auto."
        ) from error
    return chosen


def _keeps_pixels(pipeline: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the network sees images as they are: nothing is resized, nothing left out."""
    loading, *steps = pipeline
    return loading == {"type": "LoadImageFromFile"} and all(
        step["type"] == "PackDetInputs"
        or (step["type"] == "Resize" and step.get("scale_factor") == 1.0)
        for step in steps
    )
