"""Importing this registers everything of this package with MMDetection; configs name it."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):  # "Could not import OneDL", which means nothing
    import mmdet.datasets  # noqa: F401
    import mmpretrain.models  # noqa: F401

import cellseg_mm.datasets.cell_dataset
import cellseg_mm.datasets.transforms.albu_label_maps
import cellseg_mm.datasets.transforms.cell_crop
import cellseg_mm.datasets.transforms.hed_jitter
import cellseg_mm.datasets.transforms.load_cell_labels
import cellseg_mm.datasets.transforms.rare_cell_paste
import cellseg_mm.datasets.transforms.resize_to_mpp
import cellseg_mm.datasets.worker_seeding
import cellseg_mm.engine.atomic_backend
import cellseg_mm.engine.bf16_optim_wrapper
import cellseg_mm.engine.hooks.backbone_speed_hook
import cellseg_mm.engine.hooks.best_checkpoint_hook
import cellseg_mm.engine.hooks.exact_resume_hook
import cellseg_mm.engine.hooks.learning_curves_hook
import cellseg_mm.engine.hooks.non_finite_hook
import cellseg_mm.engine.hooks.overlay_hook
import cellseg_mm.engine.hooks.resumable_early_stopping_hook
import cellseg_mm.engine.layer_decay
import cellseg_mm.engine.sharded_adamw
import cellseg_mm.evaluation.cell_coco_metric
import cellseg_mm.evaluation.cell_segmentation_metric
import cellseg_mm.evaluation.prediction_dumper
import cellseg_mm.evaluation.submission
import cellseg_mm.files.checkpoint_file
import cellseg_mm.models.backbone_weights
import cellseg_mm.models.cell_htc_mask_head
import cellseg_mm.models.cell_mask_head
import cellseg_mm.models.cell_roi_head
import cellseg_mm.models.ignoring_assigner
import cellseg_mm.models.norm_eval_timm_backbone
import cellseg_mm.models.partial_labels
import cellseg_mm.models.test_time.test_time_model  # noqa: F401
