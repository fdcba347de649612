"""Misspelt --cfg-options."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from cellseg_mm.runs.config_overrides import apply_overrides


@pytest.fixture
def config(repository: Any) -> Config:
    return Config.fromfile(repository / "configs" / "mask-rcnn_convnext-b_fpn_cell.py")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optim_wrapper.optimizer.lrr", "optim_wrapper.optimizer.lr"),
        ("optim_wraper.optimizer.lr", "optim_wrapper"),
        ("model.roi_head.bbox_head.num_clases", "model.roi_head.bbox_head.num_classes"),
        ("max_epoch", "max_epochs"),
        ("custom_hooks.0.patiance", "custom_hooks.0.patience"),
        ("train_pipline.0.type", "train_pipeline"),
    ],
)
def test_a_misspelt_key_is_an_error_with_the_nearest(
    config: Config, key: str, nearest: str
) -> None:
    before = config.pretty_text
    with pytest.raises(ValueError, match="there is no key") as caught:
        apply_overrides(config, {"randomness.seed": 3, key: 1})
    assert nearest in str(caught.value)
    assert config.pretty_text == before  # nothing is half-applied


def test_existing_keys_and_arguments_of_classes_are_accepted(config: Config) -> None:
    apply_overrides(
        config,
        {
            "optim_wrapper.optimizer.lr": 1e-4,
            "optim_wrapper.optimizer.betas": (0.9, 0.99),  # of torch's AdamW
            "optim_wrapper.clip_grad.max_norm": 1.0,  # of MMEngine's OptimWrapper
            "model.backbone.with_cp": True,  # of mmpretrain's ConvNeXt
            "custom_hooks.0.patience": 9,
            "train_dataloader.dataset.pipeline.3.prob": 0.1,
            "train_dataloader.dataset.filter_cfg.min_size": 9,  # of CocoDataset's base class
            "work_dir": "somewhere",
            "optim_wrapper.constructor": "LearningRateDecayOptimizerConstructor",
            "optim_wrapper.paramwise_cfg.norm_decay_mult": 0.0,
            "randomness.deterministic": True,
            "metainfo.palette": [(1, 2, 3)],
            "default_hooks.visualization.type": "DetVisualizationHook",
        },
    )
    assert config.optim_wrapper.clip_grad.max_norm == 1.0
    assert config.model.backbone.with_cp is True
    assert config.custom_hooks[0].patience == 9
    assert config.train_dataloader.dataset.pipeline[3].prob == 0.1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("custom_hooks.7.patience", "a list of 4, so the next part must be a number from 0 to 3"),
        ("custom_hooks.first", "must be a number"),
        ("max_epochs.train", "max_epochs is 20, which has no key 'train'"),
    ],
)
def test_keys_that_lead_nowhere(config: Config, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_overrides(config, {key: 1})
