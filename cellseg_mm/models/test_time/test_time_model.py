"""A detector that looks at each image several times and fuses what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from cellseg_mm.errors import UserError
from cellseg_mm.models.test_time.fusion import fuse_detections
from cellseg_mm.models.test_time.tiles import predict_tiled
from cellseg_mm.models.test_time.views import VIEWS, View, resize_image
from cellseg_mm.structures.probability_masks import ProbabilityMasks


@MODELS.register_module()
class TestTimeModel(BaseModel):
    """Test-time augmentation, ensembling and tiling around detectors, for testing only.

    Each image, or each tile of it, is predicted by every detector in every view at every scale, one
    after the other, and what they find is fused by
    :func:`~cellseg_mm.models.test_time.fusion.fuse_detections`. Results are those of a detector:
    data samples with detections in pixels of the original image.

    Args:
        detectors: Detectors, or their configs, with ``CellMaskHead`` and
            ``test_cfg.rcnn.keep_probabilities=True``; all of the same classes.
        views: "identity", "flips" (4 views) or "dihedral" (8, right-angle rotations included).
        scales: Factors of the input's size.
        tile: Side of the tiles that larger images are cut into, in pixels; 0 = whole images.
        overlap: Pixels that neighbouring tiles share.
        merge_iou: Least mask IoU of two detections of one cell.
        mask_threshold: Least mean probability of a mask's pixel.
        max_per_image: Detections kept for each image, or for each tile; None = all.
    """

    __test__ = False  # it is no pytest class

    def __init__(
        self,
        detectors: Sequence[Mapping[str, Any] | nn.Module],
        views: str = "identity",
        scales: Sequence[float] = (1.0,),
        tile: int = 0,
        overlap: int = 64,
        merge_iou: float = 0.5,
        mask_threshold: float = 0.5,
        max_per_image: int | None = 1000,
    ) -> None:
        super().__init__()
        self.detectors = nn.ModuleList(
            d if isinstance(d, nn.Module) else MODELS.build(d) for d in detectors
        )
        self.views = VIEWS[views]
        self.scales = scales
        self.tile = tile
        self.overlap = overlap
        self.merge_iou = merge_iou
        self.mask_threshold = mask_threshold
        self.max_per_image = max_per_image

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for training.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("TestTimeModel only has a test step: train the detector itself.")

    @torch.no_grad()
    def test_step(self, data: Mapping[str, Any]) -> list[DetDataSample]:
        """Predict a batch, image by image.

        Args:
            data: ``inputs``, images (3, H, W), and ``data_samples``, as the data loader gives them.

        Returns:
            The data samples with ``pred_instances``, whose ``masks`` are ``RLEMasks``.

        Raises:
            ValueError: The test pipeline pads or crops, or tiles are wanted of resized images.
        """
        samples = list(data["data_samples"])
        for image, sample in zip(data["inputs"], samples, strict=True):
            sample.pred_instances = self._predict_image(image, sample.metainfo)
        return samples

    def _predict_image(self, image: Tensor, metainfo: dict[str, Any]) -> InstanceData:
        height, width = metainfo["ori_shape"][:2]
        scale_x, scale_y = metainfo["scale_factor"]
        if tuple(image.shape[-2:]) != (round(height * scale_y), round(width * scale_x)):
            raise UserError(
                f"The test pipeline makes {image.shape[-2]}×{image.shape[-1]} pixels of a "
                f"{height}×{width} image, which is not its scale_factor: leave padding and "
                "cropping out of it to use test_time."
            )
        if not self.tile:
            return self._predict_region(image, metainfo)
        if tuple(image.shape[-2:]) != (height, width):
            raise UserError(
                f"The test pipeline resizes images, here from {height}×{width} to "
                f"{image.shape[-2]}×{image.shape[-1]}, and test_time.tile cuts them at their "
                "original size: take Resize out of it and set test_time.scales instead."
            )
        return predict_tiled(
            lambda x0, y0, x1, y1: image[:, y0:y1, x0:x1],
            height,
            width,
            lambda tile: self._predict_region(tile, metainfo | {"ori_shape": tile.shape[-2:]}),
            self.tile,
            self.overlap,
        )

    def _predict_region(self, image: Tensor, metainfo: dict[str, Any]) -> InstanceData:
        """Fused detections of a whole image or of a tile, in pixels of ``ori_shape``."""
        sources = []
        for scale in self.scales:
            resized = resize_image(image, scale)
            scale_x, scale_y = metainfo["scale_factor"]
            factor = (
                scale_x * resized.shape[-1] / image.shape[-1],
                scale_y * resized.shape[-2] / image.shape[-2],
            )
            sources += [
                _predict_view(detector, resized, metainfo | {"scale_factor": factor}, view)
                for detector in self.detectors
                for view in self.views
            ]
        return fuse_detections(sources, self.merge_iou, self.mask_threshold, self.max_per_image)


def _predict_view(
    detector: Any, image: Tensor, metainfo: dict[str, Any], view: View
) -> InstanceData:
    """What one detector finds in one view of an image, in pixels of ``ori_shape``."""
    seen = view.apply(image)
    turn = slice(None, None, -1 if view.transpose else 1)
    height, width = metainfo["ori_shape"][:2][turn]
    metainfo = metainfo | {
        "img_shape": tuple(seen.shape[-2:]),
        "ori_shape": (height, width),
        "scale_factor": metainfo["scale_factor"][turn],
    }
    sample = DetDataSample(metainfo=metainfo)
    (result,) = detector.test_step({"inputs": [seen], "data_samples": [sample]})
    found = result.pred_instances
    if not len(found):  # a RoI head without boxes does not ask its mask head
        boxes = found.bboxes
        found.masks = ProbabilityMasks(boxes.new_zeros(0, 1, 1), boxes, height, width)
    if not isinstance(found.masks, ProbabilityMasks):
        raise UserError(
            f"test_time needs mask probabilities, but the model gives {type(found.masks).__name__}:"
            " use CellMaskHead, or a subclass, as its mask_head."
        )
    return view.undo(found)
