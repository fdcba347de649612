"""Misspelt --cfg-options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
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
        ("default_hooks.early_stopping.patiance", "default_hooks.early_stopping.patience"),
        ("default_hooks.early_stoping.patience", "default_hooks.early_stopping"),
        ("train_pipline.0.type", "train_pipeline"),
    ],
)
def test_a_misspelt_key_is_an_error_with_the_nearest(
    config: Config, key: str, nearest: str
) -> None:
    with pytest.raises(ValueError, match="there is no key") as caught:
        apply_overrides(config, ["randomness.seed=3", f"{key}=1"])
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("num_classes=2", "set metainfo.classes"),
        ("train_pipeline.1.type=LoadCellLabels", "change what it goes into"),
        ("cosine.end=9", "change what it goes into"),
    ],
)
def test_a_variable_of_the_file_alone_is_refused(config: Config, option: str, hint: str) -> None:
    before = config.pretty_text
    with pytest.raises(ValueError, match="this would change nothing") as caught:
        apply_overrides(config, [option])
    assert hint in str(caught.value)
    assert config.pretty_text == before


def test_existing_keys_and_arguments_of_classes_are_accepted(config: Config) -> None:
    apply_overrides(
        config,
        [
            "optim_wrapper.optimizer.lr=1e-4",
            "optim_wrapper.optimizer.betas=(0.9,0.99)",  # of torch's AdamW
            "optim_wrapper.clip_grad.max_norm=1.0",  # of MMEngine's OptimWrapper
            "optim_wrapper.clip_grad.norm_type=inf",  # of torch's clip_grad_norm_
            "model.backbone.with_cp=True",  # of mmpretrain's ConvNeXt
            "default_hooks.early_stopping.patience=9",
            "default_hooks.visualization.type=DetVisualizationHook",  # a hook by a new name
            "default_hooks.visualization.draw=True",  # one of its arguments
            "train_dataloader.dataset.pipeline.3.prob=0.1",
            "train_dataloader.dataset.filter_cfg.min_size=9",  # of CocoDataset's base class
            "work_dir=some where",
            "optim_wrapper.constructor=LearningRateDecayOptimizerConstructor",
            "optim_wrapper.paramwise_cfg.norm_decay_mult=0.0",
            "randomness.deterministic=True",
            "metainfo.palette=[(1,2,3)]",
        ],
    )
    assert config.optim_wrapper.clip_grad.max_norm == 1.0
    assert config.model.backbone.with_cp is True
    assert config.default_hooks.early_stopping.patience == 9
    assert config.default_hooks.visualization == {"type": "DetVisualizationHook", "draw": True}
    assert config.work_dir == "some where"
    assert config.train_dataloader.dataset.pipeline[3].prob == 0.1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "train_pipeline.7.type",
            "a list of 5, so the next part must be a number from 0 to 4",
        ),
        ("train_pipeline.first", "must be a number"),
        ("max_epochs.train", "max_epochs is 20, which has no key 'train'"),
    ],
)
def test_keys_that_lead_nowhere(config: Config, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_overrides(config, [f"{key}=1"])


@pytest.mark.parametrize("option", ["lr", "=1"])
def test_what_is_no_key_and_value(config: Config, option: str) -> None:
    with pytest.raises(ValueError, match="write KEY=VALUE"):
        apply_overrides(config, [option])


def test_keys_of_called_functions_are_known(config: Config, repository: Any) -> None:
    from mmdet.models.layers import multiclass_nms  # after cellseg_mm, for mmcv's operators

    nms = "model.test_cfg.rcnn.nms"
    scores = torch.tensor([[0.9, 0.8, 0.0]])  # two classes and the background
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    for agnostic, expected in (("False", 2), ("True", 1)):  # of mmcv's batched_nms
        apply_overrides(config, [f"{nms}.class_agnostic={agnostic}"])
        found, _ = multiclass_nms(boxes, scores, 0.05, config.model.test_cfg.rcnn.nms)
        assert len(found) == expected
    apply_overrides(config, [f"{nms}.split_thr=500", f"{nms}.score_threshold=0.1"])
    with pytest.raises(ValueError, match="there is no key 'min_score'"):
        apply_overrides(config, [f"{nms}.min_score=0.1"])
    apply_overrides(config, [f"{nms}.type=soft_nms", f"{nms}.min_score=0.1"])

    albu = Config.fromfile(repository / "configs" / "mask-rcnn_convnext-b_fpn_albu_cell.py")
    step = "train_dataloader.dataset.pipeline.3.transforms.0"
    apply_overrides(albu, [f"{step}.type=RandomGamma", f"{step}.gamma_limit=(90,110)"])
    with pytest.raises(ValueError, match="there is no key 'gama_limit'"):
        apply_overrides(albu, [f"{step}.gama_limit=(90,110)"])
