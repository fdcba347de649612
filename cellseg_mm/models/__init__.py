"""Parts of detectors; importing this registers them with MMDetection."""

import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.models.backbone_weights import BackboneWeights
from cellseg_mm.models.cell_mask_head import CellMaskHead

__all__ = ["BackboneWeights", "CellMaskHead"]
