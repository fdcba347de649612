"""Heads that tell as many classes apart as the data set has."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.hooks import Hook

from cellseg_mm.errors import UserError


class ClassCountHook(Hook):
    """Refuses a training whose heads and data set differ in the number of classes.

    MMDetection's own hook asserts the same, of further heads too, that count other things.
    """

    def before_train(self, runner: Any) -> None:
        """Compare the heads with the classes of the data.

        Raises:
            UserError: They differ.
        """
        classes = runner.train_dataloader.dataset.metainfo.get("classes")
        if classes is None:
            return
        for name, module in runner.model.named_modules():
            counts_classes = isinstance(module, BBoxHead) or (
                isinstance(module, FCNMaskHead) and not module.class_agnostic
            )
            if counts_classes and module.num_classes != len(classes):
                raise UserError(
                    f"{name} of the network tells {module.num_classes} classes apart, but the data "
                    f"set has {len(classes)} ({', '.join(classes)}): set num_classes of the "
                    "config's heads, or its metainfo.classes."
                )
