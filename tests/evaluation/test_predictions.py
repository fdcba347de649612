"""Result lists of ours and of other programs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation import predictions
from cellseg_mm.evaluation.annotations import Annotations, index_annotations
from cellseg_mm.evaluation.predictions import check_prediction, load_predictions

BITMAP = np.zeros((6, 8), np.uint8, order="F")
BITMAP[1:4, 2:7] = 1
COUNTS = coco_mask.encode(BITMAP)["counts"].decode()


@pytest.fixture
def annotations() -> Annotations:
    return index_annotations(
        {
            "images": [{"id": 1, "height": 6, "width": 8}],
            "annotations": [],
            "categories": [{"id": 1, "name": "epithelial"}],
        },
        "val.json",
    )


def record(**changes: Any) -> dict[str, Any]:
    return {
        "image_id": 1,
        "category_id": 1,
        "score": 0.5,
        "segmentation": {"size": [6, 8], "counts": COUNTS},
        "bbox": [2, 1, 5, 3],
    } | changes


def column_major_runs() -> list[int]:
    values = BITMAP.T.ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    return np.diff([0, *edges, values.size]).tolist()


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [6, 8], "counts": COUNTS},
        {"size": (6, 8), "counts": COUNTS.encode()},
        {"size": [6, 8], "counts": column_major_runs()},
        [[2, 1, 7, 1, 7, 4, 2, 4]],
    ],
    ids=["str", "bytes", "runs", "polygon"],
)
def test_every_form_of_mask_becomes_the_same_rle(
    segmentation: Any, annotations: Annotations
) -> None:
    prediction = check_prediction(record(segmentation=segmentation), annotations)
    assert prediction["segmentation"] == {"size": [6, 8], "counts": COUNTS}


@pytest.mark.parametrize("bbox", [[], None, "x", [1, 2]])
def test_a_box_that_is_missing_is_taken_from_the_mask(bbox: Any) -> None:
    assert check_prediction(record(bbox=bbox))["bbox"] == [2, 1, 5, 3]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("text", "a str stands where"),
        ({"image_id": 1}, "lacks category_id, score, segmentation"),
        (record(image_id="1"), "image_id is '1', but must be an integer"),
        (record(image_id=5), "image 5 is not in val.json"),
        (record(category_id=0), "category 0 is not in val.json"),
        (record(score=float("nan")), "finite"),
        (record(score=None), "finite"),
        (record(segmentation={"size": [6, 8]}), "RLE with `size` and `counts`"),
        (record(segmentation={"size": [8, 6], "counts": COUNTS}), r"its image is \[6, 8\]"),
        (record(segmentation={"size": [6, 8], "counts": COUNTS[:-2]}), "counts cover|end within"),
        (record(segmentation={"size": [6, 8], "counts": "\x00"}), "alphabet"),
        (record(segmentation={"size": [6, 8], "counts": [3, -3, 48]}), "run length"),
        (record(segmentation={"size": [6, 8], "counts": [3.5]}), "integers"),
        (record(segmentation={"size": [6, 8], "counts": None}), "NoneType"),
        (record(segmentation=[[1, 2, 3]]), "at least 3 points"),
    ],
)
def test_bad_records_are_named(bad: Any, message: str, annotations: Annotations) -> None:
    with pytest.raises(ValueError, match=message):
        check_prediction(bad, annotations)


def test_polygons_need_the_size_of_the_image() -> None:
    with pytest.raises(ValueError, match="only be read with the annotation file"):
        check_prediction(record(segmentation=[[2, 1, 7, 1, 7, 4]]))


def test_files(tmp_path: Path, annotations: Annotations) -> None:
    path = tmp_path / "predictions.json"
    with pytest.raises(FileNotFoundError, match="--dump"):
        load_predictions(path)
    path.write_text("[")
    with pytest.raises(ValueError, match="not JSON"):
        load_predictions(path)
    path.write_text(json.dumps({"annotations": []}))
    with pytest.raises(ValueError, match=r"does not start with \["):
        load_predictions(path)
    path.write_text(json.dumps([record(), record(score="high")]))
    with pytest.raises(ValueError, match="Record 1 of"):
        load_predictions(path, annotations)
    path.write_text(json.dumps([record(), record(score=1)]))
    assert [p["score"] for p in load_predictions(path, annotations)] == [0.5, 1.0]
    path.write_text("[]")
    assert load_predictions(path) == []


def test_a_submission_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("test-results.json", json.dumps([record()]))
    assert len(load_predictions(path)) == 1
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.json", "[]")
    with pytest.raises(ValueError, match="2 JSON files"):
        load_predictions(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation": [[2, 1, 3e8, 1, 7, 4]]}, "reaches from 2 to 3e"),
        ({"segmentation": [[2, -1e9, 7, 1, 7, 4]]}, "reaches from -1e"),
        ({"segmentation": [[2, 1, 10**400, 1, 7, 4]]}, "a polygon must be a list"),
        ({"segmentation": [[2, 1, float("inf"), 1, 7, 4]]}, "a polygon must be a list"),
        ({"segmentation": {"size": [6, 8], "counts": [10**400]}}, "run lengths, integers from 0"),
        ({"segmentation": {"size": [6, 8], "counts": [-1, 49]}}, "run lengths, integers from 0"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": [48]}}, "must be \\[height, width"),
        ({"score": 10**400}, "finite number"),
        ({"image_id": [[[[[[[[]]]]]]]]}, "must be an integer"),
    ],
)
def test_numbers_that_would_cost_gigabytes_are_refused(
    annotations: Annotations, changes: dict[str, Any], message: str
) -> None:
    # With the annotations, the size itself is compared.
    known = None if "height" in message else annotations
    with pytest.raises(ValueError, match=message) as caught:
        check_prediction(record(**changes), known)
    assert len(str(caught.value)) < 200


def test_polygons_that_reach_a_little_outside_are_cut_off(annotations: Annotations) -> None:
    inside = check_prediction(record(segmentation=[[2, 1, 8, 1, 8, 4, 2, 4]]), annotations)
    outside = check_prediction(record(segmentation=[[2, 1, 12, 1, 12, 4, 2, 4]]), annotations)
    assert inside["segmentation"] == outside["segmentation"]


def test_a_byte_order_mark_is_no_error(tmp_path: Path, annotations: Annotations) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([record()]).encode())
    assert len(load_predictions(path, annotations)) == 1


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "_MAX_UNPACKED_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p.json", "[" + " " * 5000 + "]")
    with pytest.raises(ValueError, match="unpacks to 5,002 bytes"):
        load_predictions(tmp_path / "p.zip")
