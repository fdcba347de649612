"""Training and evaluation around the model; importing this registers hooks and backends."""

import cellseg_mm.engine.atomic_backend
import cellseg_mm.engine.bf16_optim_wrapper
import cellseg_mm.engine.hooks
import cellseg_mm.engine.layer_decay
import cellseg_mm.engine.sharded_adamw
import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
