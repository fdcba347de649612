"""Wherever a checkpoint is named, code in it does not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

import cellseg_mm.register  # noqa: F401
from cellseg_mm.errors import UserError
from cellseg_mm.models.backbone_weights import BackboneWeights
from cellseg_mm.runs.checkpoint_weights import load_weights

CONFIG = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
REFUSED = "without running code"


class ToyModel(BaseModel):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.layer(inputs).mean()}


def runner(work_dir: Path, **options: Any) -> Runner:
    return Runner(
        model=options.pop("model", None) or ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader([{"inputs": torch.ones(1)}], batch_size=1),
        train_cfg={"by_epoch": True, "max_epochs": options.pop("epochs", 2)},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        default_hooks={"logger": None},
        default_scope="mmengine",
        experiment_name=f"{work_dir}{len(options)}".replace("/", "_"),
        **options,
    )


@pytest.fixture
def evil(tmp_path: Path, hostile: Any) -> Path:
    """A checkpoint that would resume a training, with the payload in it."""
    runner(tmp_path / "first", epochs=1).train()
    content = torch.load(tmp_path / "first" / "epoch_1.pth", weights_only=False)
    content["meta"]["payload"] = hostile
    torch.save(content, tmp_path / "first" / "epoch_1.pth")
    return tmp_path / "first" / "epoch_1.pth"


def test_the_checkpoints_to_test(evil: Path) -> None:
    with pytest.raises(UserError, match=REFUSED):
        load_weights(ToyModel(), [str(evil)])


def test_load_from(tmp_path: Path, evil: Path) -> None:
    with pytest.raises(UserError, match=REFUSED):
        runner(tmp_path / "second", load_from=str(evil)).train()


def test_resume(tmp_path: Path, evil: Path) -> None:
    with pytest.raises(UserError, match=REFUSED):
        runner(tmp_path / "second", load_from=str(evil), resume=True).train()


def test_last_checkpoint(evil: Path) -> None:
    assert (evil.parent / "last_checkpoint").read_text() == str(evil)
    with pytest.raises(UserError, match=REFUSED):
        runner(evil.parent, resume=True).train()


def test_init_cfg(tmp_path: Path, evil: Path) -> None:
    model = ToyModel(init_cfg={"type": "Pretrained", "checkpoint": str(evil)})
    with pytest.raises(UserError, match=REFUSED):
        runner(tmp_path / "second", model=model).train()


def test_backbone_weights(evil: Path) -> None:
    with pytest.raises(UserError, match=REFUSED):
        BackboneWeights(str(evil))(nn.Linear(1, 1))


def test_the_config_in_a_checkpoint(tmp_path: Path) -> None:
    """MMEngine runs ``meta.config`` as Python when it resumes."""
    runner(tmp_path, epochs=1).train()
    content = torch.load(tmp_path / "epoch_1.pth", weights_only=False)
    marker = tmp_path / "the-code-ran"
    content["meta"]["config"] = f"open({str(marker)!r}, 'w').close()\ngpu_ids = None"
    torch.save(content, tmp_path / "epoch_1.pth")
    again = runner(tmp_path, resume=True)
    again.train()
    assert again.epoch == 2
    assert not marker.exists()


@pytest.mark.parametrize("position", ["test.py", "test_time.checkpoints", "segment", "train.py"])
def test_the_tools(
    run_python: Callable[..., CompletedProcess[str]],
    prepared_data: Path,
    tmp_path: Path,
    hostile: Any,
    position: str,
) -> None:
    from mmdet.registry import MODELS

    from cellseg_mm.runs.run_config import load_config

    work_dir = tmp_path / "run"
    work_dir.mkdir()
    options = [f"data_root={prepared_data}", "val_dataloader.num_workers=0"]
    config = load_config(CONFIG, None, options)
    good, bad = tmp_path / "good.pth", work_dir / "epoch_1.pth"
    content: dict[str, Any] = {"state_dict": MODELS.build(config.model).state_dict(), "meta": {}}
    torch.save(content, good)
    torch.save(content | {"payload": hostile}, bad)
    image = next((prepared_data.parent / "raw").rglob("*image.tif"))
    arguments: dict[str, list[Any]] = {
        "test.py": ["tools/test.py", CONFIG, bad, "--work-dir", work_dir],
        "test_time.checkpoints": ["tools/test.py", CONFIG, good, "--work-dir", work_dir],
        "segment": [
            "-m",
            "cellseg_mm",
            "segment",
            image,
            "--model",
            bad,
            "--out",
            tmp_path / "out",
        ],
        "train.py": ["tools/train.py", CONFIG, "--work-dir", work_dir, "--resume"],
    }
    if position == "test_time.checkpoints":
        options.append(f"test_time.checkpoints={bad}")
    if position == "segment":
        config.dump(work_dir / "config.py")
        result = run_python(*arguments[position])
    else:
        result = run_python(*arguments[position], "--cfg-options", *options)
    assert result.returncode == 2, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert REFUSED in error
    assert bad.name in error
    assert "Traceback" not in result.stderr
