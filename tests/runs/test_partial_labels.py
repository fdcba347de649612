"""Data sets that know different classes, trained together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.runs.model_bundle import without_training
from cellseg_mm.runs.partial_labels import use_partial_labels
from cellseg_mm.runs.run_config import load_config

CONFIG = "configs/mask-rcnn_convnext-atto_fpn_cell.py"


@pytest.fixture
def two_sets(prepared_data: Path, tmp_path: Path) -> list[str]:
    """The same images twice; the second set does not annotate neutrophils and macrophages."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        shutil.copytree(prepared_data, folder)
    path = folders[1] / "annotations" / "train.json"
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["annotated_category_ids"] = [1, 2]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] <= 2]
    path.write_text(json.dumps(content))
    return [str(folder) for folder in folders]


def types_of(config: Any) -> list[str]:
    return [config.model.roi_head.type, config.model.roi_head.bbox_head.type]


def test_a_config_is_left_alone_where_all_classes_are_annotated(two_sets: list[str]) -> None:
    config = load_config(CONFIG, None, [f"data_root={two_sets[0]}"])
    before = config.pretty_text
    assert use_partial_labels(config) == {}
    assert config.pretty_text == before


def test_heads_and_samples_know_what_is_not_annotated(two_sets: list[str]) -> None:
    config = load_config(CONFIG, None, [f"data_root=[{','.join(two_sets)}]"])
    path = str(Path(two_sets[1], "annotations", "train.json"))
    assert use_partial_labels(config) == {path: ["neutrophil", "macrophage"]}
    assert types_of(config) == ["PartialLabelRoIHead", "PartialLabelBBoxHead"]
    for part in config.train_dataloader.dataset.datasets:
        assert part.pipeline[-1].meta_keys[-1] == "unannotated"
        assert "img_shape" in part.pipeline[-1].meta_keys
    published = without_training(config.model.to_dict())["roi_head"]
    assert (published["type"], published["bbox_head"]["type"]) == (
        "CellRoIHead",
        "Shared2FCBBoxHead",
    )


def test_a_head_that_cannot_honour_it_is_named(two_sets: list[str]) -> None:
    config = load_config(CONFIG, None, [f"data_root={two_sets[1]}"])
    config.model.roi_head.type = "DoubleHeadRoIHead"
    with pytest.raises(UserError, match="DoubleHeadRoIHead does not honour"):
        use_partial_labels(config)


def test_two_sets_train_together(two_sets: list[str], tmp_path: Path, run_python: Any) -> None:
    small = ["train_dataloader.batch_size=12", "train_dataloader.num_workers=0"]
    result = run_python(
        *("tools/train.py", CONFIG, "--work-dir", tmp_path / "run", "--cfg-options"),
        *(f"data_root=[{','.join(two_sets)}]", "max_epochs=1", *small),
        *("val_dataloader.num_workers=0", "default_hooks.overlays=None"),
        check=True,
    )
    assert "are not annotated for neutrophil, macrophage" in result.stdout
    assert (tmp_path / "run" / "epoch_1.pth").is_file()
    # 6 images of each set make one batch of 12.
    assert "[1][1/1]" in "".join(p.read_text() for p in (tmp_path / "run").rglob("*.log"))
