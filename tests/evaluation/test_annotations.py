"""Reading the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import (
    index_annotations,
    match_categories,
    read_annotations,
)


def coco(**changes: Any) -> dict[str, Any]:
    data = {
        "images": [{"id": 2, "height": 4, "width": 5}, {"id": 1, "height": 4, "width": 5}],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 3},
            {"id": 2, "image_id": 2, "category_id": 1, "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "macrophage"}, {"id": 1, "name": "epithelial"}],
    }
    return data | changes


def test_records_are_indexed_by_image(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    path.write_text(json.dumps(coco()))
    truth = read_annotations(path)
    assert list(truth.images) == [1, 2]
    assert truth.categories == {1: "epithelial", 3: "macrophage"}
    assert truth.cells[1] == []
    assert [cell["id"] for cell in truth.cells[2]] == [1]  # without the crowd
    assert match_categories(["macrophage", "epithelial"], truth.categories, "a file") == [3, 1]


def test_problems_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist: write it"):
        read_annotations(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match="is not readable JSON"):
        read_annotations(tmp_path / "broken.json")
    with pytest.raises(ValueError, match="is not a COCO file"):
        index_annotations({"images": []})
    with pytest.raises(ValueError, match="twice"):
        index_annotations(coco(images=coco()["images"] * 2))
    with pytest.raises(ValueError, match="Annotation 9 of the annotations names the image 7"):
        index_annotations(coco(annotations=[{"id": 9, "image_id": 7, "category_id": 1}]))
    with pytest.raises(ValueError, match="must all be categories"):
        match_categories(["lymphocyte"], {1: "epithelial"}, "a file")


@pytest.mark.parametrize(
    "changes",
    [
        {"images": {"1": {}}},
        {"images": [{"id": "1", "height": 2, "width": 2}]},
        {"categories": [{"id": 1}]},
        {"annotations": [[]]},
        {"annotations": [{"image_id": {"a": 1}, "category_id": 1}]},
    ],
)
def test_files_of_other_tools_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"val\.json"):
        index_annotations(coco(**changes), "val.json")
