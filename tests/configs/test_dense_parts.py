"""The ladder of the dense recipe: its rows add one part to the report's recipe, or to all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmengine.config import Config

from cellseg_mm.ablation.ladder import read_ladder
from cellseg_mm.runs.run_config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
LADDERS = [CONFIGS / "ablations" / f"dense_{name}.yaml" for name in ("monusac", "consep")]
ROWS = {row.name: row for row in read_ladder(LADDERS[0]).rows}
REPORT, DENSE = "report's recipe", "all parts"
PASTE, DENSE_AND_PASTE = "copy-paste", "all parts and copy-paste"  # measured, and left out
PARTS = [
    name
    for name, row in ROWS.items()
    if name not in (REPORT, DENSE, PASTE, DENSE_AND_PASTE) and row.weights_of in (None, REPORT)
]


def load(name: str) -> Config:
    """The settings of a row."""
    return load_config(str(CONFIGS.parent / ROWS[name].config), "work", ROWS[name].options)


def settings(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Everything but pipelines and hooks, as dotted keys and values."""
    for key, value in node.items():
        if key in ("train_pipeline", "pipeline", "custom_hooks"):
            continue
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def transforms(config: Config) -> list[Any]:
    """The training pipeline, with AlbuLabelMaps replaced by what it holds."""
    found: list[Any] = []
    for step in config.train_dataloader.dataset.pipeline:
        found += step.transforms if step.type == "AlbuLabelMaps" else [step]
    return found


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_one_of_the_recipes(name: str) -> None:
    part, report, dense = load(name), load(REPORT), load(DENSE)
    of_report, of_dense = dict(settings(report)), dict(settings(dense))
    changed = {k: v for k, v in settings(part) if k not in of_report or of_report[k] != v}
    assert changed == {key: of_dense.get(key, "missing") for key in changed}
    added = [step for step in transforms(part) if step not in transforms(report)]
    assert all(step in transforms(dense) for step in added)
    hooks = [hook for hook in part.custom_hooks if hook not in report.custom_hooks]
    assert all(hook in dense.custom_hooks for hook in hooks)
    assert changed or added or hooks


def test_the_parts_add_up_to_the_recipe() -> None:
    """Nothing of the recipe is left out, but for settings that only concern the network's size."""
    report, dense = load(REPORT), load(DENSE)
    of_report = dict(settings(report))
    of_dense = {k: v for k, v in settings(dense) if k not in of_report or of_report[k] != v}
    steps = [step for step in transforms(dense) if step not in transforms(report)]
    for name in PARTS:
        part = load(name)
        for key, value in settings(part):
            if key in of_dense and of_dense[key] == value:
                del of_dense[key]
        steps = [step for step in steps if step not in transforms(part)]
    assert (of_dense, steps) == ({}, [])


@pytest.mark.parametrize(("name", "without"), [(PASTE, REPORT), (DENSE_AND_PASTE, DENSE)])
def test_copy_paste_is_all_that_its_rows_add(name: str, without: str) -> None:
    row, base = load(name), load(without)
    assert dict(settings(row)) == dict(settings(base))
    assert row.custom_hooks == base.custom_hooks
    added = [step for step in transforms(row) if step not in transforms(base)]
    assert [step.type for step in added] == ["RareCellPaste"]
    assert [step for step in transforms(row) if step not in added] == transforms(base)


def test_the_report_is_trained_on_crops_and_else_as_it_says() -> None:
    config = CONFIGS / "mask-rcnn_efficientnet-lite0_fpn_cell.py"
    crops, report = load(REPORT), load_config(str(config), "work", ROWS[REPORT].options)
    assert dict(settings(crops)) == dict(settings(report))
    assert transforms(crops) != transforms(report)


def test_both_data_sets_have_the_same_rows() -> None:
    first, second = (yaml.safe_load(path.read_text())["rows"] for path in LADDERS)
    assert first == second


def test_every_config_of_a_part_is_in_the_ladder() -> None:
    used = {Path(row.config).name for row in ROWS.values()}
    parts = {path.name for path in CONFIGS.glob("ablations/dense/*.py")}
    assert used == parts | {"mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"}
