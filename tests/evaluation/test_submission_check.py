"""The check of submissions: one valid file, and every way to spoil it."""

import copy
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation import submission_check
from cellseg_mm.evaluation.submission_check import validate_submission

IMAGES = [
    {"file_name": "a.tif", "id": 1, "height": 12, "width": 20},
    {"file_name": "b.tif", "id": 2, "height": 30, "width": 10},
]


def rle(height, width, pixels=6):
    bitmap = np.zeros((height, width), np.uint8)
    bitmap[2:3, 1 : 1 + pixels] = 1
    encoded = coco_mask.encode(np.asfortranarray(bitmap))
    return {"size": [height, width], "counts": encoded["counts"].decode()}


def valid_records():
    return [
        {
            "image_id": 1,
            "bbox": [1.0, 2.0, 6.0, 1.0],
            "score": 0.75,
            "category_id": 1,
            "segmentation": rle(12, 20),
        },
        {
            "image_id": 2,
            "bbox": [1, 2, 6, 1],
            "score": 1,
            "category_id": 4,
            "segmentation": rle(30, 10),
        },
    ]


def write_zip(folder, content, member="test-results.json"):
    path = folder / "out.zip"
    text = content if isinstance(content, str) else json.dumps(content)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return path


def check(folder, content, **options):
    images = folder / "images.json"
    images.write_text(json.dumps(IMAGES))
    return validate_submission(write_zip(folder, content), images, **options)


def test_a_valid_submission(tmp_path):
    result = check(tmp_path, valid_records())

    assert result.valid
    assert (result.problems, result.notes) == ([], [])
    assert (result.detections, result.images, result.images_with_detections) == (2, 2, 2)
    assert result.per_category == {1: 1, 4: 1}
    assert str(result).endswith("\nvalid")


def test_no_detections_are_valid_with_a_note(tmp_path):
    result = check(tmp_path, [])

    assert result.valid
    assert "loadRes" in result.notes[0]


def test_boxes_as_corners_are_valid_with_a_note(tmp_path):
    records = valid_records()
    records[0]["bbox"] = [11, 5, 19, 12]

    result = check(tmp_path, records)

    assert result.valid
    assert result.notes[0].startswith("1 boxes reach beyond")


def spoil(path, value):
    """A change of the first record: the value at a path of keys."""

    def change(records):
        target = records[0]
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


COUNTS = ("segmentation", "counts")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (spoil(["image_id"], 3), "image_id must be an id of the image list, not 3"),
        (spoil(["image_id"], True), "image_id must be an id of the image list, not True"),
        (spoil(["image_id"], "1"), "image_id must be an id of the image list, not '1'"),
        (spoil(["image_id"], 1.0), "image_id must be an id of the image list, not 1.0"),
        (spoil(["image_id"], [1]), "image_id must be an id of the image list, not [1]"),
        (spoil(["category_id"], 0), "category_id must be an integer from 1 to 4, not 0"),
        (spoil(["category_id"], 5), "category_id must be an integer from 1 to 4, not 5"),
        (spoil(["category_id"], True), "category_id must be an integer from 1 to 4, not True"),
        (spoil(["score"], 1.01), "score must be a number from 0 to 1, not 1.01"),
        (spoil(["score"], "0.5"), "score must be a number from 0 to 1, not '0.5'"),
        (spoil(["score"], None), "score must be a number from 0 to 1, not None"),
        (spoil(["bbox"], []), "bbox must be four finite numbers, not []"),
        (spoil(["bbox"], [1, 2, 3]), "bbox must be four finite numbers, not [1, 2, 3]"),
        (spoil(["bbox"], [1, 2, 3, True]), "bbox must be four finite numbers"),
        (spoil(["bbox"], [1, 2, -3, 4]), "bbox has a negative width or height"),
        (spoil(["segmentation"], [[1, 2, 3, 4, 5, 6]]), "segmentation must be an object"),
        (spoil(["segmentation"], rle(12, 21)), "size is [12, 21], but the image is [12, 20]"),
        (spoil(["segmentation", "size"], [12, "20"]), "size must be [height, width]"),
        (spoil(["segmentation"], rle(20, 12)), "size is [20, 12], but the image is [12, 20]"),
        (spoil(COUNTS, [14, 6, 220]), "counts must be a string"),
        (spoil(COUNTS, rle(12, 21)["counts"]), "the mask covers 252 pixels, but its size has 240"),
        (spoil(COUNTS, rle(12, 20, pixels=0)["counts"]), "the mask is empty"),
        (spoil(COUNTS, ""), "the mask covers 0 pixels"),
        (spoil(COUNTS, "b'abc'"), "outside COCO's alphabet"),
        (spoil(COUNTS, rle(12, 20)["counts"] + "P"), "end within a run"),
        (spoil(COUNTS, "o" * 40), "end within a run"),
        (lambda records: records[0].pop("score"), "score missing"),
        (lambda records: records.insert(0, 12), "it must be an object, not 12"),
    ],
)
def test_one_spoilt_record(tmp_path, change, problem):
    records = valid_records()
    change(records)

    result = check(tmp_path, records)

    assert result.num_problems == len(result.problems) == 1
    assert result.problems[0].startswith(f"record 0: {problem}") or problem in result.problems[0]


def test_all_problems_are_counted_and_some_listed(tmp_path):
    record = valid_records()[0] | {"score": -1, "category_id": 9}

    result = check(tmp_path, [valid_records()[0]] + [record] * 30, max_problems=3)

    assert result.num_problems == 60
    assert [problem.split(":")[0] for problem in result.problems] == [
        "record 1",
        "record 1",
        "record 2",
    ]
    assert "… and 57 more problems\nnot valid: 60 problems" in str(result)


def test_number_of_classes(tmp_path):
    assert not check(tmp_path, valid_records(), num_classes=3).valid


@pytest.mark.parametrize("content", ["", "{}", "[", "[1 2]", "[1, ]", "[1", "[] []", "[NaN]"])
def test_text_that_is_not_a_json_list(tmp_path, content):
    result = check(tmp_path, content)

    assert not result.valid
    assert result.problems[-1].startswith("test-results.json is not a JSON list, seen in record")


@pytest.mark.parametrize("record", ["[" * 100_000 + "]" * 100_000, "9" * 400, '"\x1b[31m"'])
def test_records_that_no_one_would_write(tmp_path, record):
    result = check(tmp_path, f"[{record}]".replace("\x1b", "\\u001b"))

    assert result.num_problems == 1
    assert len(result.problems[0]) < 200
    assert result.problems[0].isprintable()


def test_records_without_end_are_not_all_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(submission_check, "MAX_PER_IMAGE", 3)
    result = check(tmp_path, valid_records() * 20)
    assert result.detections == 3 * len(IMAGES)
    assert "was not looked at" in result.problems[-1]

    monkeypatch.undo()
    monkeypatch.setattr(submission_check, "MAX_PROBLEMS", 5)
    result = check(tmp_path, [1] * 100)
    assert result.detections == 5


def test_another_name_in_the_zip(tmp_path):
    (tmp_path / "images.json").write_text(json.dumps(IMAGES))
    path = write_zip(tmp_path, [valid_records()[0] | {"score": 2}], member="results/answer.json")

    result = validate_submission(path, tmp_path / "images.json")

    # The content is checked all the same.
    assert "but holds: results/answer.json" in result.problems[0]
    assert "score" in result.problems[1]


def test_more_than_one_file_in_the_zip(tmp_path):
    (tmp_path / "images.json").write_text(json.dumps(IMAGES))
    path = write_zip(tmp_path, valid_records())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._test-results.json", "x")

    result = validate_submission(path, tmp_path / "images.json")

    assert result.num_problems == 1
    assert "nothing else" in result.problems[0]
    assert result.detections == 2


def test_an_empty_zip(tmp_path):
    (tmp_path / "images.json").write_text(json.dumps(IMAGES))
    path = tmp_path / "out.zip"
    zipfile.ZipFile(path, "w").close()

    assert validate_submission(path, tmp_path / "images.json").num_problems == 1


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(submission_check, "MAX_MEMBER_BYTES", 10_000)

    result = check(tmp_path, "[" + " " * 100_000 + "]")

    assert result.problems == [
        "test-results.json unpacks to 100,002 bytes, more than the 10,000 that this check reads."
    ]


def test_what_is_not_a_zip(tmp_path):
    (tmp_path / "images.json").write_text(json.dumps(IMAGES))
    path = tmp_path / "out.zip"
    path.write_text("[]")

    assert "not a readable zip" in validate_submission(path, tmp_path / "images.json").problems[0]


@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_zip_never_raises(tmp_path_factory, position, value):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "images.json").write_text(json.dumps(IMAGES))
    path = write_zip(folder, valid_records() * 20)
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] = value
    path.write_bytes(data)

    str(validate_submission(path, folder / "images.json"))


FINITE = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | FINITE | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4)
    ),
    max_leaves=8,
)
records = st.fixed_dictionaries(
    {
        "image_id": st.just(1) | json_values,
        "bbox": st.lists(FINITE | json_values, max_size=5) | json_values,
        "score": json_values,
        "category_id": json_values,
        "segmentation": st.fixed_dictionaries(
            {"size": st.just([12, 20]) | json_values, "counts": st.text() | json_values}
        ),
    }
)


@settings(deadline=None)
@given(st.lists(records | json_values, max_size=3))
def test_any_json_is_judged(tmp_path_factory, content):
    result = check(tmp_path_factory.mktemp("any"), content)

    assert result.detections == len(content)
    assert str(result)


def test_a_coco_file_as_image_list(tmp_path):
    path = write_zip(tmp_path, valid_records())
    coco = tmp_path / "coco.json"
    coco.write_text(json.dumps({"images": copy.deepcopy(IMAGES), "annotations": []}))

    assert validate_submission(path, coco).valid


@pytest.mark.parametrize(
    "content", ["[1]", '{"a": 1}', '[{"id": 1}]', '[{"id": 1, "height": "9", "width": 9}]']
)
def test_what_is_not_an_image_list(tmp_path, content):
    path = write_zip(tmp_path, [])
    images = tmp_path / "images.json"
    images.write_text(content)

    with pytest.raises(ValueError, match="is not an image list"):
        validate_submission(path, images)


def test_absent_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="image list"):
        validate_submission(tmp_path / "out.zip", tmp_path / "images.json")
    (tmp_path / "images.json").write_text("[]")
    with pytest.raises(FileNotFoundError, match="submission"):
        validate_submission(tmp_path / "out.zip", tmp_path / "images.json")


@pytest.mark.shared_data
def test_the_course_example_is_valid(shared_data):
    folder = shared_data / "hw3_sample"

    result = validate_submission(
        folder / "submission_example.zip", folder / "test_image_name_to_ids.json"
    )

    # Its boxes are corners, which mask AP does not see.
    assert result.valid
    assert result.detections == 2
    assert result.notes[0].startswith("2 boxes reach beyond")
