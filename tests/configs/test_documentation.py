"""The configs that docs/configs.md shows are those that it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from cellseg_mm.runs.run_config import load_config

PAGE = (Path(__file__).parents[2] / "docs" / "configs.md").read_text(encoding="utf-8")
EXAMPLES = [
    "\n".join(line.removeprefix("  ") for line in block.splitlines())
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)
]
LEAF, OWN, CROPS, EPOCHS = EXAMPLES


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    """A folder of configs without leaves."""
    shutil.copytree(repository / "configs" / "_base_", tmp_path / "_base_")
    return tmp_path


def load(folder: Path, text: str) -> Config:
    (folder / "leaf.py").write_text(text)
    return load_config(str(folder / "leaf.py"), str(folder / "work"), None)


def test_the_first_leaf_is_the_reference_but_for_its_depth(folder: Path, repository: Path) -> None:
    ours = Config.fromfile(repository / "configs" / "mask-rcnn_convnext-b_fpn_cell.py")
    ours.model.backbone.drop_path_rate = 0.4
    ours.update(work_dir=str(folder / "work"), launcher="none")
    assert load(folder, LEAF).to_dict() == ours.to_dict()


def test_a_leaf_of_ones_own_builds(folder: Path, repository: Path) -> None:
    """ConvNeXt-Base, dense, two classes of one's own, EMA off: in at most 15 lines."""
    assert len(OWN.strip().splitlines()) <= 15
    config = load(folder, OWN)
    dense = Config.fromfile(repository / "configs" / "mask-rcnn_convnext-b_fpn_dense-cell.py")
    for part in ("train", "val", "test"):
        dataset = config[f"{part}_dataloader"].dataset
        assert dataset.metainfo.classes == ("tumour", "other")
        assert dataset.pipeline == dense[f"{part}_dataloader"].dataset.pipeline
    heads = dense.model.roi_head
    heads.bbox_head.num_classes = heads.mask_head.num_classes = 2
    assert config.model == dense.model
    del dense.default_hooks["ema"]
    assert config.default_hooks == dense.default_hooks
    assert config.optim_wrapper == dense.optim_wrapper

    config.model.backbone.init_cfg = None
    runner = Runner.from_cfg(config)
    assert runner.model.roi_head.bbox_head.fc_cls.out_features == 3  # and the background
    assert runner.model.roi_head.mask_head.conv_logits.out_channels == 2
    names = [type(hook).__name__ for hook in runner.hooks]
    assert "ResumableEarlyStoppingHook" in names
    assert "EMAHook" not in names


def test_a_crop_size_and_epochs_of_ones_own(folder: Path, repository: Path) -> None:
    base = repository / "configs" / "mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"
    config = load(folder, f'_base_ = ["{base}"]\n{CROPS}\n{EPOCHS}')
    dense = Config.fromfile(base)
    steps, theirs = (c.train_dataloader.dataset.pipeline for c in (config, dense))
    assert steps[2] == {**theirs[2], "size": 384}
    assert [*steps[:2], *steps[3:]] == [*theirs[:2], *theirs[3:]]
    warm_up, cosine = dense.param_scheduler
    assert config.param_scheduler == [warm_up, {**cosine, "end": 30, "T_max": 30}]
    assert config.train_cfg.max_epochs == 30
    assert load_config(str(folder / "leaf.py"), None, ["max_epochs=9"]).param_scheduler[1].end == 9


def test_the_tables_name_all_bases_and_hooks(folder: Path) -> None:
    _, axes, _, hooks_section, *_ = PAGE.split("\n## ")
    named = set(re.findall(r"^\| `([\w.-]+)`", axes, re.M))
    bases = {path.name for path in folder.glob("_base_/[mr]*/*.py")}
    parts = {"dense_parts.py", "reference_albu.py", "mask-rcnn_convnext-b_fpn_narrow.py"}
    assert bases - named == parts
    networks = '"_base_/models/mask-rcnn_r50_fpn.py"'
    hooks = load(folder, f'_base_ = [{networks}, "_base_/recipes/dense.py"]\n').default_hooks
    rows = " ".join(re.findall(r"^\| (`.*?) \|", hooks_section, re.M))
    assert set(re.findall(r"`(\w+)`", rows)) == set(hooks)
