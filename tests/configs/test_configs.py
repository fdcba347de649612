"""Every config builds, takes a training step and predicts an image, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from cellseg_mm.runs.parameter_count import PARAMETER_LIMIT, trainable_parameters
from cellseg_mm.runs.run_config import load_config
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.rle_masks import RLEMasks

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))


def offline(path: Path, data_root: Path) -> Config:
    """A config without download and worker processes, and with a small backbone and few regions."""
    options = [f"{part}_dataloader.num_workers=0" for part in ("train", "val", "test")]
    options += [f"data_root={data_root}", "model.backbone.init_cfg=None"]
    if "convnext" in path.stem:
        options += ["model.backbone.arch=atto", "model.neck.in_channels=[40,80,160,320]"]
    config = load_config(str(path), None, options)
    model = config.model
    model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 100
    stages = model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = 32
    return config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_model_is_under_the_limit_of_the_task(path: Path) -> None:
    model = MODELS.build(load_config(str(path), None, None).model)
    assert 1_000_000 < trainable_parameters(model) < PARAMETER_LIMIT


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_training_step_and_an_inference(path: Path, prepared_data: Path) -> None:
    config = offline(path, prepared_data)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    batch = next(iter(loader))
    assert len(batch["inputs"]) == config.train_dataloader.batch_size
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = [p.detach().clone() for p in list(model.parameters())[-2:]]
    unused = {name for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in model.named_parameters():
        if name in unused:
            parameter.register_post_accumulate_grad_hook(lambda _, name=name: unused.discard(name))
    losses = model.train_step(batch, optim_wrapper)
    assert not unused  # several processes would need find_unused_parameters
    stages = [f"s{i}." for i in range(config.model.roi_head.get("num_stages", 0))] or [""]
    terms = ["loss_rpn_cls", "loss_rpn_bbox"]
    terms += [f"{stage}loss_{kind}" for stage in stages for kind in ("cls", "bbox", "mask")]
    assert set(losses) >= {"loss", *terms}
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert losses["loss"].item() == pytest.approx(sum(losses[k].item() for k in terms), rel=1e-5)
    after = list(model.parameters())[-2:]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))

    model.eval()
    model.roi_head.test_cfg.update(score_thr=0.0, max_per_img=20)
    image = next(iter(Runner.build_dataloader(config.val_dataloader, seed=0)))
    with torch.no_grad():
        result = model.test_step(image)[0]
    found = result.pred_instances
    assert isinstance(found.masks, RLEMasks)
    assert (found.masks.height, found.masks.width) == result.ori_shape
    assert len(found) == len(found.masks) > 0


@pytest.mark.parametrize("size", [(33, 86), (86, 33), (735, 2500)])
def test_the_dense_recipe_takes_every_size(
    size: tuple[int, int], repository: Path, prepared_data: Path
) -> None:
    path = repository / "configs/mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"
    config = offline(path, prepared_data)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    planes = np.zeros((1, *size), np.int32)
    planes[0, 5:25, 10:30], planes[0, 15:30, 32:33] = 1, 2
    masks = LabelMapMasks(planes, np.array([1, 2]))
    labels = np.array([0, 1])
    results = {
        "img": image,
        "img_path": "image",
        "img_id": 0,
        "img_shape": size,
        "ori_shape": size,
        "scale_factor": (1.0, 1.0),
        "labels": labels,
        "gt_masks": masks,
        "gt_bboxes": masks.get_bboxes(),
        "gt_bboxes_labels": labels,
        "gt_ignore_flags": np.zeros(2, bool),
    }
    train = Compose(config.train_dataloader.dataset.pipeline[2:])(dict(results))
    test = Compose(config.test_dataloader.dataset.pipeline[1:])(dict(results))
    model = MODELS.build(config.model).train()
    batch = {key: [train[key]] for key in ("inputs", "data_samples")}
    losses = model.train_step(batch, build_optim_wrapper(model, config.optim_wrapper))
    assert torch.isfinite(losses["loss"])
    model.eval()
    model.roi_head.test_cfg.update(score_thr=0.0, max_per_img=20)
    batch = {key: [test[key]] for key in ("inputs", "data_samples")}
    with torch.no_grad():
        (result,) = model.test_step(batch)
    found = result.pred_instances
    assert (found.masks.height, found.masks.width) == size
    assert len(found) > 0


def test_the_reference_to_the_letter(repository: Path) -> None:
    config = load_config(str(repository / "configs/mask-rcnn_convnext-b_fpn_cell.py"), None, None)
    assert config.model.type == "MaskRCNN"
    assert (config.model.backbone.type, config.model.backbone.arch) == (
        "mmpretrain.ConvNeXt",
        "base",
    )
    assert config.model.neck.out_channels == 256
    assert config.model.roi_head.bbox_head.num_classes == 4
    assert config.model.roi_head.mask_head.num_classes == 4
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", 3e-4, 5e-4)
    (schedule,) = config.param_scheduler
    assert (schedule.type, schedule.T_max, schedule.eta_min) == ("CosineAnnealingLR", 20, 0.0)
    assert config.train_cfg.max_epochs == 20
    assert config.train_dataloader.batch_size == 2
    assert config.default_hooks.checkpoint.save_best == "coco/segm_mAP"
    assert config.default_hooks.early_stopping.monitor == "coco/segm_mAP"
    assert config.model.test_cfg.rcnn.max_per_img == 1000
    assert config.model.rpn_head.anchor_generator.scales == [8]  # 32 … 512 px
    baseline = load_config(str(repository / "configs/mask-rcnn_r50_fpn_cell.py"), None, None)
    assert baseline.model.backbone.type == "ResNet"
    assert baseline.optim_wrapper.optimizer.lr == 1e-4


def test_the_references_normalization_is_the_data_preprocessors(repository: Path) -> None:
    """Normalize(0, 1, 255) and torchvision's ImageNet normalization, in one step."""
    config = load_config(
        str(repository / "configs/mask-rcnn_convnext-b_fpn_albu_cell.py"), None, None
    )
    preprocessor = MODELS.build({**config.model.data_preprocessor, "pad_mask": False})
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (rgb / 255.0 - mean) / std
    bgr = torch.as_tensor(rgb[..., ::-1].copy()).permute(2, 0, 1)
    sample: Any = {"inputs": [bgr], "data_samples": None}
    got = preprocessor(sample)["inputs"][0].permute(1, 2, 0)
    torch.testing.assert_close(got.double(), torch.as_tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_augmentation_reaches_the_loader(repository: Path, prepared_data: Path) -> None:
    plain, augmented = (
        offline(repository / f"configs/mask-rcnn_convnext-b_fpn_{name}cell.py", prepared_data)
        for name in ("", "albu_")
    )
    init_default_scope("mmdet")
    pictures = []
    for config in (plain, augmented):
        dataset = Runner.build_dataloader(config.train_dataloader, seed=0).dataset
        np.random.seed(0)
        pictures.append([dataset[i]["inputs"] for i in range(len(dataset))])
    same = [torch.equal(a, b) for a, b in zip(*pictures, strict=True)]
    assert sum(same) <= 1  # unchanged with a chance of 3 %
