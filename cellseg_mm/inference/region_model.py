"""A trained model for regions of images that are no data set."""

from __future__ import annotations

import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.runs.checkpoint_weights import load_weights
from cellseg_mm.runs.test_time_settings import use_test_time
from cellseg_mm.structures.rle_masks import RLEMasks


class RegionModel:
    """Predicts regions as ``tools/test.py`` predicts images: with the config's test pipeline.

    Args:
        config: Config of the run, as ``load_config`` reads it. Its ``test_time`` counts, but for
            ``tile``: the regions are tiles already.
        checkpoint: File that tools/train.py wrote.

    Attributes:
        classes: Names of the classes: the checkpoint's, or the config's if it has none.
        max_per_region: The most detections that the model returns for a region.
        full_regions: How often it returned as many: cells may be missing there.

    Raises:
        ValueError: The checkpoint or the config does not fit.
    """

    def __init__(self, config: Config, checkpoint: str) -> None:
        init_default_scope(config.get("default_scope", "mmdet"))
        loading, *transforms = config.test_dataloader.dataset.pipeline
        if not loading.type.endswith("LoadImageFromFile"):
            raise UserError(
                f"The config's test pipeline begins with {loading.type}: let it begin with "
                "LoadImageFromFile."
            )
        self._pipeline = Compose([{"type": "mmdet.LoadImageFromNDArray"}, *transforms])
        self.max_per_region: int = config.model.test_cfg.rcnn.max_per_img
        self.full_regions = 0
        if "test_time" in config:
            config.test_time.tile = 0
        further_checkpoints = use_test_time(config)
        self._model = MODELS.build(config.model)
        trained = load_weights(self._model, [checkpoint, *further_checkpoints])
        self.classes: tuple[str, ...] = trained or tuple(config.metainfo.classes)
        self._model.to(get_device()).eval()

    @torch.no_grad()
    def __call__(self, region: Tensor) -> InstanceData:
        """Predict a region.

        Args:
            region: (3, h, w) uint8, RGB.

        Returns:
            ``bboxes``, ``scores``, ``labels`` and ``masks`` (``RLEMasks``) in the region's pixels.

        Raises:
            ValueError: The model's masks are not ``RLEMasks``.
        """
        # The pipeline takes images as OpenCV reads them: BGR, channels last.
        bgr = region.flip(0).permute(1, 2, 0).contiguous().numpy()
        sample = self._pipeline({"img": bgr, "img_id": 0})
        batch = {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
        found: InstanceData = self._model.test_step(batch)[0].pred_instances
        self.full_regions += 0 < self.max_per_region <= len(found)
        if not len(found):
            found.masks = RLEMasks([], *region.shape[1:])
        if not isinstance(found.masks, RLEMasks):
            raise UserError(
                f"The model's masks are a {type(found.masks).__name__}: use CellMaskHead, or a "
                "subclass, as its mask_head."
            )
        return found
