"""The ladder of the dense recipe: its rows add one part to the reference recipe, or to all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from cellseg_mm.ablation.ladder import read_ladder
from cellseg_mm.runs.run_config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
ROWS = {row.name: row for row in read_ladder(CONFIGS / "ablations/dense.yaml").rows}
REFERENCE, DENSE = "reference", "all parts"
PASTE, DENSE_AND_PASTE = "copy-paste", "all parts and copy-paste"  # measured, and left out
OF_A_RUN = set(inspect.signature(Runner).parameters)  # other keys at the top are variables
PARTS = [
    name
    for name, row in ROWS.items()
    if name not in (REFERENCE, DENSE, PASTE, DENSE_AND_PASTE)
    and row.weights_of in (None, REFERENCE)
]


def load(name: str) -> Config:
    """The settings of a row."""
    return load_config(str(CONFIGS.parent / ROWS[name].config), "work", ROWS[name].options)


def settings(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All of a run but pipelines and early stopping, as dotted keys and values."""
    for key, value in node.items():
        if key in ("pipeline", "early_stopping") or (not prefix and key not in OF_A_RUN):
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
    part, reference, dense = load(name), load(REFERENCE), load(DENSE)
    of_reference, of_dense = dict(settings(reference)), dict(settings(dense))
    changed = {k: v for k, v in settings(part) if k not in of_reference or of_reference[k] != v}
    assert changed == {key: of_dense.get(key, "missing") for key in changed}
    added = [step for step in transforms(part) if step not in transforms(reference)]
    assert all(step in transforms(dense) for step in added)
    assert changed or added


def test_the_parts_add_up_to_the_recipe() -> None:
    """Nothing of the recipe is left out, but for settings that only concern the network's size."""
    reference, dense = load(REFERENCE), load(DENSE)
    of_reference = dict(settings(reference))
    of_dense = {k: v for k, v in settings(dense) if k not in of_reference or of_reference[k] != v}
    steps = [step for step in transforms(dense) if step not in transforms(reference)]
    for name in PARTS:
        part = load(name)
        for key, value in settings(part):
            if key in of_dense and of_dense[key] == value:
                del of_dense[key]
        steps = [step for step in steps if step not in transforms(part)]
    assert (of_dense, steps) == ({}, [])


@pytest.mark.parametrize(("name", "without"), [(PASTE, REFERENCE), (DENSE_AND_PASTE, DENSE)])
def test_copy_paste_is_all_that_its_rows_add(name: str, without: str) -> None:
    row, base = load(name), load(without)
    assert dict(settings(row)) == dict(settings(base))
    added = [step for step in transforms(row) if step not in transforms(base)]
    assert [step.type for step in added] == ["RareCellPaste"]
    assert [step for step in transforms(row) if step not in added] == transforms(base)


def test_the_reference_is_trained_on_crops_and_else_as_it_says() -> None:
    config = CONFIGS / "mask-rcnn_efficientnet-lite0_fpn_cell.py"
    crops, reference = load(REFERENCE), load_config(str(config), "work", ROWS[REFERENCE].options)
    assert dict(settings(crops)) == dict(settings(reference))
    assert transforms(crops) != transforms(reference)


def test_every_config_of_a_part_is_in_the_ladder() -> None:
    used = {Path(row.config).name for row in ROWS.values()}
    parts = {path.name for path in CONFIGS.glob("ablations/dense/*.py")}
    assert used == parts | {"mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"}
