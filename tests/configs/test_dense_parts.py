"""The ladder of the dense recipe: each of its configs is the report's recipe and one part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from cellseg_mm.ablation.ladder import read_ladder
from cellseg_mm.engine.run_config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
DENSE = CONFIGS / "mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"
FOLDER = CONFIGS / "ablations" / "dense"
PARTS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "report")


def load(path: Path) -> Config:
    return load_config(str(path), "work", ["max_epochs=7"])


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


@pytest.mark.parametrize("path", PARTS, ids=lambda p: p.stem)
def test_a_part_is_one_of_the_recipes(path: Path) -> None:
    part, report, dense = load(path), load(FOLDER / "report.py"), load(DENSE)
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
    report, dense = load(FOLDER / "report.py"), load(DENSE)
    of_report = dict(settings(report))
    of_dense = {k: v for k, v in settings(dense) if k not in of_report or of_report[k] != v}
    steps = [step for step in transforms(dense) if step not in transforms(report)]
    for path in PARTS:
        part = load(path)
        for key, value in settings(part):
            if key in of_dense and of_dense[key] == value:
                del of_dense[key]
        steps = [step for step in steps if step not in transforms(part)]
    assert (of_dense, steps) == ({}, [])


def test_the_report_is_trained_on_crops_and_else_as_it_says() -> None:
    crops, report = load(FOLDER / "report.py"), load(CONFIGS / f"{DENSE.stem[:-10]}cell.py")
    assert dict(settings(crops)) == dict(settings(report))
    assert transforms(crops) != transforms(report)


@pytest.mark.parametrize("name", ["dense_monusac", "dense_consep"])
def test_the_ladder_has_every_part(name: str) -> None:
    ladder = read_ladder(CONFIGS / "ablations" / f"{name}.yaml")
    assert {Path(row.config).name for row in ladder.rows} == {
        DENSE.name,
        "report.py",
        *(path.name for path in PARTS),
    }
