"""timm's backbones for detection, where batches are too small for batch statistics."""

from __future__ import annotations

from typing import Self

from mmdet.registry import MODELS
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.models import TIMMBackbone


@MODELS.register_module()
class NormEvalTIMMBackbone(TIMMBackbone):
    """``mmpretrain.TIMMBackbone`` that keeps the pretrained statistics of its batch norms.

    The counterpart of ``norm_eval=True`` of MMDetection's ResNet: scales and shifts are trained,
    means and variances are not.

    Args: those of ``mmpretrain.TIMMBackbone``.
    """

    def train(self, mode: bool = True) -> Self:
        """Set training mode, batch norms excepted."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self
