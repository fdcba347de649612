"""The mask head of a hybrid task cascade on planes."""

from __future__ import annotations

from mmdet.models.roi_heads.mask_heads import HTCMaskHead
from mmdet.registry import MODELS

from cellseg_mm.models.cell_mask_head import CellMaskHead


@MODELS.register_module()
class CellHTCMaskHead(CellMaskHead, HTCMaskHead):
    """``HTCMaskHead`` with the targets and results of ``CellMaskHead``.

    Args: those of ``HTCMaskHead``.
    """
