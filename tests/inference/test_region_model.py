"""The model behind tools/segment.py; that it predicts as tools/test.py does is tested there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from cellseg_mm.inference.region_model import RegionModel
from cellseg_mm.runs.run_config import load_config


@pytest.fixture(scope="module")
def checkpoint(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights."""
    model = MODELS.build(config_of(repository).model)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return str(path)


def config_of(repository: Path, *options: str) -> Config:
    path = repository / "configs/mask-rcnn_convnext-atto_fpn_cell.py"
    return load_config(str(path), None, options)


def test_regions_at_the_cap_are_counted(repository: Path, checkpoint: str) -> None:
    region = torch.zeros(3, 64, 96, dtype=torch.uint8)
    config = config_of(repository, "model.test_cfg.rcnn.max_per_img=2")
    model = RegionModel(config, checkpoint)
    found = model(region)
    assert (found.masks.height, found.masks.width) == (64, 96)
    assert (len(found), model.max_per_region, model.full_regions) == (2, 2, 1)

    none = RegionModel(config_of(repository, "model.test_cfg.rcnn.score_thr=1"), checkpoint)
    assert len(none(region).masks) == none.full_regions == 0


def test_what_does_not_fit_is_refused(repository: Path, checkpoint: str) -> None:
    with pytest.raises(ValueError, match=r"none\.pth does not exist"):
        RegionModel(config_of(repository), "none.pth")
    config = config_of(repository)
    del config.test_dataloader.dataset.pipeline[0]
    with pytest.raises(ValueError, match="test pipeline begins with Resize"):
        RegionModel(config, checkpoint)
