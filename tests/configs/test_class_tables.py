from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cellseg_mm.preparation.formats.registry import format_module

TABLES = sorted((Path(__file__).parents[2] / "configs" / "class_tables").glob("*.yaml"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_names_every_class_of_its_format(path: Path) -> None:
    table = yaml.safe_load(path.read_text())
    assert tuple(table) == format_module(path.stem).CLASSES


def test_the_tables() -> None:
    targets = {
        path.stem: list(dict.fromkeys(yaml.safe_load(path.read_text()).values())) for path in TABLES
    }
    assert targets == {
        "consep": ["other", "inflammatory", "epithelial", "spindle"],
        "nucls": ["tumor_any", "nonTIL_stromal", "sTIL", "other_nucleus", "ignore"],
        "puma": ["tumor", "TILs", "other"],
    }
