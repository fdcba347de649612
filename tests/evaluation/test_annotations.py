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


def cell(number: int, image_id: int, category_id: int, **more: Any) -> dict[str, Any]:
    """A record as prepare.py writes it."""
    mask = {"size": [4, 5], "counts": "01c0"}
    record = {"id": number, "image_id": image_id, "category_id": category_id}
    return record | {"segmentation": mask, "bbox": [0, 0, 1, 1], "area": 1} | more


def coco(**changes: Any) -> dict[str, Any]:
    data = {
        "images": [{"id": 2, "height": 4, "width": 5}, {"id": 1, "height": 4, "width": 5}],
        "annotations": [
            cell(1, 2, 3),
            cell(2, 2, 1, iscrowd=1),
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
        index_annotations(coco(annotations=[cell(9, 7, 1)]))
    with pytest.raises(ValueError, match="must all be categories"):
        match_categories(["lymphocyte"], {1: "epithelial"}, "a file")


@pytest.mark.parametrize(
    "changes",
    [
        {"images": {"1": {}}},
        {"images": [{"id": "1", "height": 2, "width": 2}]},
        {"categories": [{"id": 1}]},
        {"annotations": [[]]},
        {"annotations": [cell(1, 2, 1) | {"image_id": {"a": 1}}]},
    ],
)
def test_files_of_other_tools_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"val\.json"):
        index_annotations(coco(**changes), "val.json")


@pytest.mark.parametrize("key", ["id", "segmentation", "bbox", "area"])
def test_files_without_what_a_cell_has_are_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "val.json"
    path.write_text(json.dumps(coco(annotations=[cell(1, 2, 1, **{key: None})])))
    with pytest.raises(UserError, match=rf"val\.json lacks one of .*{key}.*convert\.py coco"):
        read_annotations(path)
