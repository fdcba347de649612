"""Parts of detectors; importing this registers them with MMDetection."""

import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.models.backbone_weights import BackboneWeights
from cellseg_mm.models.cell_htc_mask_head import CellHTCMaskHead
from cellseg_mm.models.cell_mask_head import CellMaskHead
from cellseg_mm.models.norm_eval_timm_backbone import NormEvalTIMMBackbone
from cellseg_mm.models.test_time_model import TestTimeModel

__all__ = [
    "BackboneWeights",
    "CellHTCMaskHead",
    "CellMaskHead",
    "NormEvalTIMMBackbone",
    "TestTimeModel",
]
