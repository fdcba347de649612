"""Hooks; one file each."""

from cellseg_mm.engine.hooks.backbone_speed_hook import BackboneSpeedHook
from cellseg_mm.engine.hooks.best_checkpoint_hook import BestCheckpointHook
from cellseg_mm.engine.hooks.learning_curves_hook import LearningCurvesHook
from cellseg_mm.engine.hooks.overlay_hook import OverlayHook
from cellseg_mm.engine.hooks.resumable_early_stopping_hook import ResumableEarlyStoppingHook

__all__ = [
    "BackboneSpeedHook",
    "BestCheckpointHook",
    "LearningCurvesHook",
    "OverlayHook",
    "ResumableEarlyStoppingHook",
]
