"""Counts of a prepared folder by hand."""

import json

import pytest

from cellseg_mm.evaluation.annotations import index_annotations
from cellseg_mm.reporting.dataset_summary import summarize_dataset, summarize_part


def test_a_part_by_hand():
    content = {
        "images": [{"id": 1, "patient": "p"}, {"id": 2, "patient": "q"}, {"id": 3, "patient": "p"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "area": a}
            for n, (i, c, a) in enumerate([(1, 1, 10), (1, 1, 20), (1, 1, 60), (2, 1, 30)], 1)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }

    part = summarize_part("val", index_annotations(content))

    assert (part.images, part.patients, part.cells) == (3, 2, {"a": 4, "b": 0})
    assert part.median_cells == 1  # of 3, 1 and 0
    assert part.median_area == pytest.approx({"a": 25, "b": float("nan")}, nan_ok=True)


def test_a_prepared_folder(prepared):
    summary = summarize_dataset(prepared)

    assert [(p.name, p.images, p.patients) for p in summary.parts] == [
        ("val", 3, None),
        ("test", 3, None),
    ]
    assert summary.parts[0].cells == {"round": 6, "flat": 6}
    assert summary.facts["Channel order of the raw images"] == "bgr (vote)"
    assert summary.warnings == ["No training image has the class <flat>."]


def test_a_broken_audit(tmp_path):
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(ValueError, match=r"audit\.json is not JSON .*prepare the data again"):
        summarize_dataset(tmp_path)


def test_no_audit_is_fine(prepared, tmp_path):
    (tmp_path / "annotations").mkdir()
    text = (prepared / "annotations" / "val.json").read_text()
    (tmp_path / "annotations" / "val.json").write_text(text)

    assert json.loads(text)["images"]
    assert summarize_dataset(tmp_path).warnings == []
