"""A model of random weights that sees cells everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from cellseg_mm.runs.model_bundle import ModelBundle, find_model
from cellseg_mm.runs.publish_model import ModelCard, publish_model

CLASSES = ("round", "long", "dark", "large")


@pytest.fixture(scope="session")
def bundle(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Published, at 0.25 µm per pixel."""
    folder = tmp_path_factory.mktemp("run")
    init_default_scope("mmdet")
    config = Config.fromfile(repository / "configs/mask-rcnn_efficientnet-lite0_fpn_cell.py")
    config.dump(folder / "config.py")
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.weight.mul_(80)
        model.roi_head.mask_head.conv_logits.weight.mul_(10)
    meta = {"dataset_meta": {"classes": CLASSES}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "best.pth")
    texts = ("summary", "licence", "data", "split", "command", "not_for")
    card = ModelCard(
        **dict.fromkeys(texts, "-"),
        name="random",
        mpp=0.25,
        thresholds=dict.fromkeys(CLASSES, 0.5) | {"dark": 0.6},
        scores=json.loads("{}"),
    )
    return publish_model(find_model(folder / "best.pth"), card, folder / "random")
