"""The whole way from raw files to the prepared layout."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from pycocotools import mask as coco_mask

from cellseg_mm.preparation import prepare_dataset as module
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.problems import InputError
from cellseg_mm.structures.planes import read_planes


def options(raw: Path, out: Path, **others: object) -> PrepareOptions:
    return PrepareOptions(raw=raw, out=out, **{"classes": ("a", "b"), **others})


def annotations(out: Path, part: str) -> dict:
    return json.loads((out / "annotations" / f"{part}.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def check_against_raw(raw: Path, out: Path, num_classes: int = 4, only: int | None = None) -> int:
    """Compare every annotation and plane with the raw class files; gives the number compared."""
    compared = 0
    order = json.loads((out / "audit.json").read_text())["channel_order"]["order"]
    for part in ("train", "val", "test"):
        dataset = annotations(out, part)
        by_image: dict[int, list[dict]] = {}
        for record in dataset["annotations"]:
            by_image.setdefault(record["image_id"], []).append(record)
        for image in dataset["images"][:only]:
            name = Path(image["file_name"]).stem
            folder = raw / ("test_gt" if part == "test" else "train") / name
            path = raw / "test_release" / f"{name}.tif" if part == "test" else folder / "image.tif"
            pixels = tifffile.imread(path)[..., :3]
            png = cv2.imread(str(out / "images" / image["file_name"]), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(png, pixels[..., ::-1] if order == "rgb" else pixels)
            assert (image["height"], image["width"]) == pixels.shape[:2]
            planes = read_planes(out / "labels" / image["label_file"])
            records = iter(by_image.get(image["id"], []))
            for number in range(1, num_classes + 1):
                if not (folder / f"class{number}.tif").exists():
                    continue
                mask = tifffile.imread(folder / f"class{number}.tif")
                for value in np.unique(mask[mask > 0]):
                    record = next(records)
                    assert record["category_id"] == number
                    # Inside the box pixel by pixel; outside by the number of pixels.
                    x, y, w, h = record["bbox"]
                    box = np.s_[y : y + h, x : x + w]
                    expected = mask[box] == value
                    decoded = coco_mask.decode(record["segmentation"])
                    assert decoded.shape == mask.shape
                    np.testing.assert_array_equal(decoded[box] > 0, expected)
                    area = np.count_nonzero(expected)
                    assert record["area"] == area == np.count_nonzero(decoded)
                    assert area == np.count_nonzero(mask == value)
                    assert expected.any(axis=0)[[0, -1]].all()
                    assert expected.any(axis=1)[[0, -1]].all()
                    plane = (planes[:, *box] == record["instance_id"]).any(axis=0)
                    np.testing.assert_array_equal(plane, expected)
                    compared += 1
            assert next(records, None) is None
    return compared


def test_prepared_layout(raw_set, tmp_path):
    out = tmp_path / "out"
    audit = prepare_dataset(options(raw_set.root, out))
    assert check_against_raw(raw_set.root, out) == 6 * 3 + 2
    train, val, test = (annotations(out, part) for part in ("train", "val", "test"))
    assert (len(train["images"]), len(val["images"]), len(test["images"])) == (5, 1, 2)
    assert sorted(i["id"] for i in train["images"] + val["images"]) == [1, 2, 3, 4, 5, 6]
    assert [i["id"] for i in test["images"]] == [1, 2]
    for dataset in (train, val, test):
        assert dataset["categories"] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        ids = [record["id"] for record in dataset["annotations"]]
        assert ids == list(range(1, len(ids) + 1))
    first = train["images"][0]
    name = Path(first["file_name"]).stem
    assert first["file_name"] == f"train/{name}.png"
    assert first["label_file"] == f"{name}.tif"
    assert "patient" not in first
    records = [r for r in train["annotations"] if r["image_id"] == first["id"]]
    assert [(r["category_id"], r["instance_id"]) for r in records] == [(1, 1), (1, 2), (2, 3)]
    assert {path.name for path in out.iterdir()} == {
        "annotations", "audit.json", "audit.md", "images", "labels", "splits"
    }  # fmt: skip
    assert audit["channel_order"]["order"] == "rgb"
    assert json.loads((out / "audit.json").read_text()) == audit
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "out"}


def test_overlaps_and_pieces_are_kept(raw, make_tissue, tmp_path):
    first, second = np.zeros((9, 9), np.float64), np.zeros((9, 9), np.uint32)
    first[1:5, 1:5] = 4
    first[7, 7] = 4  # the same cell
    second[3:7, 3:7] = 4  # another class: another cell, over the first
    second[0, 0] = 70_000
    raw.add_train("x", make_tissue((first + second) > 0), {1: first, 2: second})
    out = tmp_path / "out"
    audit = prepare_dataset(options(raw.root, out))
    assert check_against_raw(raw.root, out) == 3
    assert len(read_planes(out / "labels" / "x.tif")) == 2
    (image,) = audit["images"]
    assert image["overlap_pixels"] == 4
    assert image["shared_ids"] == [4]
    assert image["fragmented_instances"] == 1
    assert image["tiny_instances"] == 1
    assert image["classes"]["b"] == {"file": "present", "dtype": "uint32", "instances": 2}
    text = "\n".join(audit["warnings"])
    assert "1 id in more than one class of an image: train/x (4)." in text
    assert "there is only one image, and it goes to training" in text
    assert annotations(out, "val")["images"] == []
    assert annotations(out, "test")["images"] == []


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_channel_order_and_alpha(raw, make_tissue, tmp_path, order):
    cells = np.zeros((8, 8), np.uint8)
    cells[2:5, 2:6] = 1
    for index in range(3):
        pixels = make_tissue(cells > 0, index, order=order, alpha=True)
        pixels[0, 0, 3] = 0 if index == 1 else 255
        raw.add_train(f"i{index}", pixels, {1: cells, 2: np.zeros_like(cells)})
    # The order of a test image follows from the train images, even if it looks different.
    raw.add_test("t", make_tissue(cells > 0, 9, order=order, alpha=True))
    audit = prepare_dataset(options(raw.root, tmp_path / "out"))
    assert audit["channel_order"]["order"] == order
    for name in ("train/i0", "test/t"):
        png = cv2.imread(str(tmp_path / "out" / "images" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        blue, _, red = np.moveaxis(png[3, 3].astype(int), -1, 0)
        assert blue > red
        assert png.shape == (8, 8, 3)
    assert [image["alpha"] for image in audit["images"][:2]] == ["opaque", "not opaque"]
    assert audit["images"][0]["classes"]["b"]["file"] == "empty"
    assert any("alpha channel that is not 255" in warning for warning in audit["warnings"])
    (test_image,) = annotations(tmp_path / "out", "test")["images"]
    assert "label_file" not in test_image
    assert not (tmp_path / "out" / "labels" / "t.tif").exists()


def test_an_order_that_nothing_tells_must_be_stated(raw, tmp_path):
    raw.add_train("x", np.full((4, 4, 3), 9, np.uint8), {})
    with pytest.raises(InputError, match="state --channel-order rgb or bgr"):
        prepare_dataset(options(raw.root, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    audit = prepare_dataset(options(raw.root, tmp_path / "out", channel_order="bgr"))
    assert audit["channel_order"]["decided_by"] == "argument or dataset.json"
    assert audit["images"][0]["classes"]["a"]["file"] == "absent"
    assert any("no cell at all" in warning for warning in audit["warnings"])


def test_bytes_do_not_depend_on_workers_or_the_run(raw_set, tmp_path):
    results = []
    for name, workers in (("one", 1), ("two", 2), ("one", 1)):
        prepare_dataset(options(raw_set.root, tmp_path / name, workers=workers))
        results.append(contents(tmp_path / name))
    assert results[0] == results[1] == results[2]


def test_all_problems_at_once_and_nothing_left(raw_set, tmp_path):
    train = raw_set.root / "train"
    (train / "image_0" / "image.tif").write_bytes(b"no TIFF")
    tifffile.imwrite(train / "image_1" / "class1.tif", np.full((12, 10), 0.5))
    tifffile.imwrite(train / "image_1" / "class2.tif", np.zeros((3, 10)))
    (train / "image_2" / "image.tif").unlink()
    raw_set.test_list[1]["height"] = 99
    raw_set.write_list(raw_set.test_list)
    out = tmp_path / "deep" / "out"
    with pytest.raises(InputError) as caught:
        prepare_dataset(options(raw_set.root, out))
    assert {str(problem.path.relative_to(raw_set.root)) for problem in caught.value.problems} == {
        "train/image_0/image.tif",
        "train/image_1/class1.tif",
        "train/image_1/class2.tif",
        "train/image_2",
        "test_release/test_1.tif",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"raw"}


def test_masks_are_checked_though_the_image_is_bad(raw_set, tmp_path):
    folder = raw_set.root / "train" / "image_0"
    (folder / "image.tif").write_bytes(b"no TIFF")
    (folder / "class1.tif").write_bytes(b"no TIFF either")
    with pytest.raises(InputError) as caught:
        prepare_dataset(options(raw_set.root, tmp_path / "out"))
    assert len(caught.value.problems) == 2


def test_bad_input_or_an_interrupt_keeps_the_earlier_output(raw_set, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare_dataset(options(raw_set.root, out))
    before = contents(out)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "audit_markdown", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(options(raw_set.root, out, seed=1))
    (raw_set.root / "train" / "image_0" / "class1.tif").write_bytes(b"")
    with pytest.raises(InputError):
        prepare_dataset(options(raw_set.root, out))
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "out"}


def test_a_split_is_used_again(raw_set, tmp_path):
    out = tmp_path / "out"
    prepare_dataset(options(raw_set.root, out))
    path = out / "splits" / "val-0.05_seed-0.json"
    split = json.loads(path.read_text())
    (fold,) = split["folds"]
    # A person moves another image to validation.
    fold["val"].append(fold["train"].pop())
    path.write_text(json.dumps(split))
    prepare_dataset(options(raw_set.root, out))
    names = {Path(i["file_name"]).stem for i in annotations(out, "val")["images"]}
    assert names == set(fold["val"])
    assert json.loads(path.read_text()) == split
    # Other arguments draw another split, and keep the file.
    prepare_dataset(options(raw_set.root, out, seed=5))
    assert json.loads(path.read_text()) == split
    # The file alone, in a new place, is enough.
    new = tmp_path / "new"
    shutil.copytree(out / "splits", new / "splits")
    prepare_dataset(options(raw_set.root, new))
    assert {Path(i["file_name"]).stem for i in annotations(new, "val")["images"]} == names


def test_a_split_of_other_images_is_a_problem(raw_set, make_tissue, tmp_path):
    out = tmp_path / "out"
    prepare_dataset(options(raw_set.root, out))
    raw_set.add_train("later", make_tissue(np.zeros((5, 5), bool)), {})
    with pytest.raises(InputError, match="lacks 'later'") as caught:
        prepare_dataset(options(raw_set.root, out))
    assert caught.value.problems[0].path == out / "splits" / "val-0.05_seed-0.json"


def test_folds_share_one_file(raw_set, tmp_path):
    out = tmp_path / "out"
    seen = []
    for fold in range(3):
        audit = prepare_dataset(options(raw_set.root, out, folds=3, fold=fold))
        assert audit["split"]["file"] == "splits/3-folds_seed-0.json"
        seen += [Path(i["file_name"]).stem for i in annotations(out, "val")["images"]]
    assert sorted(seen) == [f"image_{index}" for index in range(6)]
    with pytest.raises(InputError, match=r"7 folds need at least 7 .*; take fewer folds"):
        prepare_dataset(options(raw_set.root, out, folds=7))


def test_patients_stay_together(raw, make_tissue, tmp_path):
    cells = np.zeros((8, 8), np.uint8)
    cells[2:5, 2:6] = 1
    for index in range(9):
        name = f"TCGA-AA-000{index % 3}-01Z_{index}"
        raw.add_train(name, make_tissue(cells > 0, index), {1: cells})
    raw.add_test("TCGA-AA-0001-test", make_tissue(cells > 0, 50))
    audit = prepare_dataset(options(raw.root, tmp_path / "out", val_fraction=0.3))
    train, val = (annotations(tmp_path / "out", part)["images"] for part in ("train", "val"))
    assert len(val) == 3
    assert len({image["patient"] for image in val}) == 1
    assert not {i["patient"] for i in val} & {i["patient"] for i in train}
    assert any("1 patient with images in train and test" in w for w in audit["warnings"])
    audit = prepare_dataset(options(raw.root, tmp_path / "by", group_regex=r"_(\d)$"))
    assert annotations(tmp_path / "by", "train")["images"][0]["patient"] in set("012345678")
    assert len(annotations(tmp_path / "by", "val")["images"]) == 1


def test_duplicates_are_told_and_stay_together(raw_set, tmp_path):
    train = raw_set.root / "train"
    shutil.copytree(train / "image_2", train / "image_2_again")
    for seed in range(3):
        audit = prepare_dataset(options(raw_set.root, tmp_path / f"out{seed}", seed=seed))
        assert any("train/image_2 = train/image_2_again" in text for text in audit["warnings"])
        val = {i["file_name"] for i in annotations(tmp_path / f"out{seed}", "val")["images"]}
        assert len(val & {"train/image_2.png", "train/image_2_again.png"}) != 1


def test_statistics_by_hand(raw_set, tmp_path):
    stats = prepare_dataset(options(raw_set.root, tmp_path / "out"))["statistics"]["train"]
    assert stats["images"] == 6
    # Class a: 3 × 4 and 2 × 2 pixels in every image; class b: 2 × 3.
    assert stats["classes"]["a"]["instances"] == 12
    assert stats["classes"]["a"]["area"]["min"] == 4
    assert stats["classes"]["a"]["area"]["median"] == 8
    assert stats["classes"]["a"]["box_side"]["max"] == 4
    assert stats["classes"]["b"] == {
        "instances": 6,
        "images": 6,
        "area": dict.fromkeys(("min", "p10", "median", "p90", "p99", "max"), 6),
        "box_side": dict.fromkeys(("min", "p10", "median", "p90", "p99", "max"), 3),
    }
    assert stats["instances_per_image"]["median"] == 3
    assert stats["height"]["max"] == 12


def test_audit_can_be_read(raw_set, tmp_path):
    prepare_dataset(options(raw_set.root, tmp_path / "out"))
    text = (tmp_path / "out" / "audit.md").read_text(encoding="utf-8")
    text = re.sub(" +", " ", text)  # the columns are aligned
    assert "| part | images | a | b |" in text
    assert "| test | 2 | 0 | 2 |" in text
    assert "decided by vote: 6 images look like RGB, 0 like BGR, 0 cannot tell" in text
    row = "| train/image_0 | 12 | 10 | 3 | none | 2 | 1 | float64, uint16 | 0 | 0 | 0 | 2 |"
    assert row in text


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"val_fraction": 1.0}, "--val-fraction is 1.0"),
        ({"folds": 1}, "--folds is 1"),
        ({"folds": 3, "fold": 3}, "--fold is 3; give 0 to 2"),
        ({"classes": ("a", "a")}, "give distinct names"),
        ({"classes": ("a", "")}, "give distinct names"),
        ({"group_regex": "("}, "is no regular expression"),
        ({"workers": 0}, "--workers is 0"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_bad_options(tmp_path, wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        options(tmp_path, tmp_path / "out", **wrong)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "order", "compared"),
    [("hw3_sample", "bgr", 161), ("nucls_cc0", "rgb", 640), ("monusac", "bgr", None)],
)
def test_real_data_decodes_to_the_raw_masks(shared_data, tmp_path, name, order, compared):
    classes = ("epithelial", "lymphocyte", "neutrophil", "macrophage")
    out = tmp_path / "out"
    audit = prepare_dataset(options(shared_data / name, out, classes=classes, workers=2))
    assert audit["channel_order"]["order"] == order
    count = check_against_raw(shared_data / name, out, only=3 if compared is None else None)
    assert count > 500 if compared is None else count == compared


@pytest.mark.shared_data
def test_dense_real_data_decodes_to_the_raw_masks(shared_data, tmp_path):
    for name in ("consep_train_01", "consep_train_02", "consep_train_05"):
        link = tmp_path / "raw" / "train" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(shared_data / "consep" / "train" / name)
    options_ = options(tmp_path / "raw", tmp_path / "out", classes=("a", "b", "c", "d"))
    assert prepare_dataset(options_)["channel_order"]["order"] == "rgb"
    assert check_against_raw(tmp_path / "raw", tmp_path / "out", only=1) > 200
