"""Counts of a prepared folder by hand."""

import json

import pytest

from cellseg_mm.evaluation.annotations import index_annotations
from cellseg_mm.reporting.data_record import part_statistics, read_data_record


def test_a_part_by_hand():
    content = {
        "images": [
            {"id": i, "height": 9, "width": 9, "patient": p} for i, p in enumerate("pqp", start=1)
        ],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "area": a, "bbox": [0, 0, 1, 1]}
            for n, (i, c, a) in enumerate([(1, 1, 10), (1, 1, 20), (1, 1, 60), (2, 1, 30)], 1)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }

    part = part_statistics(index_annotations(content))

    assert (part["images"], part["patients"]) == (3, 2)
    assert part["instances_per_image"]["median"] == 1  # of 3, 1 and 0
    assert part["all_classes"]["instances"] == part["classes"]["a"]["instances"] == 4
    assert part["classes"]["a"]["area"]["median"] == 25
    assert part["classes"]["b"]["instances"] == 0
    assert part["classes"]["b"]["area"] is None


def test_a_prepared_folder(prepared):
    record = read_data_record(prepared)

    parts = [(name, part["images"], part["patients"]) for name, part in record.parts.items()]
    assert parts == [("val", 3, None), ("test", 3, None)]
    of_class = record.parts["val"]["classes"]
    assert {name: found["instances"] for name, found in of_class.items()} == {"round": 6, "flat": 6}
    assert record.facts["Channel order of the raw images"] == "bgr (vote)"
    assert record.warnings == ["No training image has the class <flat>."]


@pytest.mark.parametrize("content", ["{", "[]", '{"split": [1]}'])
def test_a_broken_audit(tmp_path, content):
    (tmp_path / "audit.json").write_text(content)
    with pytest.raises(ValueError, match=r"audit\.json is not JSON .*prepare the data again"):
        read_data_record(tmp_path)


def test_no_audit_is_fine(prepared, tmp_path):
    (tmp_path / "annotations").mkdir()
    text = (prepared / "annotations" / "val.json").read_text()
    (tmp_path / "annotations" / "val.json").write_text(text)

    assert json.loads(text)["images"]
    assert read_data_record(tmp_path).warnings == []
