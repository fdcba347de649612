"""tools/test.py with test_time, as a user runs it, on a model that was not trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from cellseg_mm.runs.checkpoint_weights import load_weights
from cellseg_mm.runs.run_config import load_config
from cellseg_mm.runs.test_time_settings import use_test_time

CONFIG = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
# Low scores and wild boxes of random weights, and few of them.
FAST = [
    "test_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "model.test_cfg.rcnn.score_thr=0.0",
    "model.test_cfg.rcnn.max_per_img=20",
    "model.test_cfg.rpn.max_per_img=50",
]


@pytest.fixture(scope="module")
def checkpoints(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two checkpoints of random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    init_default_scope("mmdet")
    files = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = MODELS.build(load_config(str(repository / CONFIG), None, None).model)
        files.append(str(folder / f"{seed}.pth"))
        torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 1}}, files[-1])
    return files


def test_views_scales_and_checkpoints_together(
    run_python: Callable[..., CompletedProcess[str]],
    prepared_data: Path,
    checkpoints: list[str],
    tmp_path: Path,
) -> None:
    result = run_python(
        *("tools/test.py", CONFIG, checkpoints[0], "--work-dir", tmp_path),
        *("--dump", tmp_path / "found.json"),
        *("--cfg-options", f"data_root={prepared_data}", *FAST),
        *("test_time.views=flips", "test_time.scales=[1.0,0.5]"),
        f"test_time.checkpoints={checkpoints[1]}",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    val = json.loads((prepared_data / "annotations/val.json").read_text())
    assert {f["image_id"] for f in found} == {image["id"] for image in val["images"]}
    assert "segm_mAP" in json.loads((tmp_path / "metrics.json").read_text())


def test_each_detector_gets_its_checkpoint(repository: Path, checkpoints: list[str]) -> None:
    options = [f"test_time.checkpoints={checkpoints[1]}"]
    config = load_config(str(repository / CONFIG), None, options)
    further = use_test_time(config)
    model = MODELS.build(config.model)
    load_weights(model, [checkpoints[0], *further])
    for detector, file in zip(model.detectors, checkpoints, strict=True):
        expected = torch.load(file)["state_dict"]
        state = detector.state_dict()
        assert all(torch.equal(state[key], expected[key]) for key in expected)
