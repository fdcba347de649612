"""Class tables: read, and followed from the raw folder to a training sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellseg_mm.datasets.cell_dataset import CellDataset
from cellseg_mm.datasets.transforms.load_cell_labels import LoadCellLabels
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.preparation.class_table import ClassTable, read_class_table
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset

TABLE = """
# One set
tumour: epithelial
TIL: inflammatory
artefact: ignore
# Another
fibroblast: spindle
"no": inflammatory
1: spindle
"""


def table_file(folder: Path, text: str) -> Path:
    path = folder / "classes.yaml"
    path.write_text(text)
    return path


def test_names_become_targets(tmp_path: Path) -> None:
    path = table_file(tmp_path, TABLE)
    table = read_class_table(path, ["TIL", "artefact", "tumour"])
    assert table == ClassTable(("epithelial", "inflammatory", "spindle"), (2, 0, 1))
    assert table.annotated == [1, 2]
    assert read_class_table(path, ["no", "1", "tumour"]).numbers == (2, 3, 1)
    assert read_class_table(path, ["no", "1", "tumour"]).annotated is None


def test_unknown_names_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no line for til, Tumour: add each") as error:
        read_class_table(table_file(tmp_path, TABLE), ["til", "Tumour", "artefact"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line"),
        ("just words", "has no line"),
        ("a: b\na: c", "has 'a' twice"),
        ("a: b\nb: [c, d]", "Line 2 of the class table"),
        ("a: b\nb:", "Line 2 of the class table"),
        ("a: {", "is no YAML"),
        ("a: ignore", "ignores every class"),
    ],
)
def test_bad_tables_get_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_class_table(table_file(tmp_path, text), ["a"])
    assert "\n" not in str(error.value)
    with pytest.raises(MissingFileError):
        read_class_table(tmp_path / "none.yaml", ["a"])


def test_from_raw_files_to_a_sample(tmp_path: Path, raw: Any, make_tissue: Any) -> None:
    first, second, third = (np.zeros((40, 50), np.uint16) for _ in range(3))
    first[2:8, 3:9] = 1  # a tumour cell
    second[20:30, 5:15] = 2  # an artefact
    third[10:16, 30:40] = 3  # a lymphocyte
    raw.add_train("x", make_tissue((first + second + third) > 0), {1: first, 2: second, 3: third})
    out = tmp_path / "cell"
    prepare_dataset(
        PrepareOptions(
            raw=tmp_path / "raw",
            out=out,
            classes=("tumour", "artefact", "TIL"),
            class_table=table_file(tmp_path, TABLE),
            val_fraction=0,
            channel_order="rgb",
        )
    )
    content = json.loads((out / "annotations" / "train.json").read_text())
    assert [c["name"] for c in content["categories"]] == ["epithelial", "inflammatory", "spindle"]
    assert content["images"][0]["annotated_category_ids"] == [1, 2]
    # The ignored cell stands there once for each of the three categories.
    assert [
        (a["id"], a["category_id"], a["iscrowd"], a["instance_id"], a["area"])
        for a in content["annotations"]
    ] == [
        (1, 1, 0, 1, 36),
        (2, 1, 1, 2, 100),
        (3, 2, 1, 2, 100),
        (4, 3, 1, 2, 100),
        (5, 2, 0, 3, 60),
    ]
    audit = json.loads((out / "audit.json").read_text())
    assert audit["class_table"] == {
        "tumour": "epithelial",
        "artefact": "ignore",
        "TIL": "inflammatory",
    }
    assert audit["ignored"] == {"train": 1, "val": 0, "test": 0}
    assert audit["split"]["parts"]["train"]["instances"] == {
        "epithelial": 1,
        "inflammatory": 1,
        "spindle": 0,
    }
    assert not any("spindle" in warning for warning in audit["warnings"])
    assert "| artefact" in (out / "audit.md").read_text()

    dataset = CellDataset(
        ann_file="annotations/train.json",
        data_root=str(out),
        metainfo={"classes": ("spindle", "epithelial", "inflammatory")},
        pipeline=[],
    )
    sample = LoadCellLabels().transform(dataset.get_data_info(0))
    assert sample["unannotated"] == [0]
    assert sample["labels"].tolist() == [1, 2, -1]
    assert sample["instance_ids"].tolist() == [1, 3, 2]
    assert sample["gt_ignore_flags"].tolist() == [False, False, True]
    assert sample["bboxes"][2].tolist() == [5, 20, 15, 30]
    assert dataset.get_cat_ids(0) == [1, 2]
