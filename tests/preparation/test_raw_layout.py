from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from cellseg_mm.preparation.raw_layout import scan_raw_folder


def complaints(raw, num_classes: int = 2) -> str:
    return "\n".join(map(str, scan_raw_folder(raw.root, num_classes).problems))


def test_images_in_order(raw_set):
    dataset = scan_raw_folder(raw_set.root, 2)
    assert dataset.problems == []
    assert dataset.warnings == []
    train = [image for image in dataset.images if image.part == "train"]
    assert [(i.name, i.image_id) for i in train] == [(f"image_{k}", k + 1) for k in range(6)]
    assert list(train[0].mask_paths) == [1, 2]
    test = [image for image in dataset.images if image.part == "test"]
    assert [(i.name, i.image_id, i.stated_size) for i in test] == [
        ("test_0", 1, (12, 10)),
        ("test_1", 2, (12, 10)),
    ]
    assert list(test[0].mask_paths) == [2]


def test_test_images_follow_their_ids(raw_set):
    raw_set.test_list[0]["id"] = 40
    raw_set.write_list(raw_set.test_list)
    images = scan_raw_folder(raw_set.root, 2).images
    assert [(i.name, i.image_id) for i in images[6:]] == [("test_1", 2), ("test_0", 40)]


def test_without_test_gt_there_is_no_truth(raw, make_tissue, raw_set):
    for path in sorted((raw_set.root / "test_gt").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (raw_set.root / "test_gt").rmdir()
    assert [i.mask_paths for i in scan_raw_folder(raw_set.root, 2).images[6:]] == [None, None]


def test_missing_folders(tmp_path):
    (problem,) = scan_raw_folder(tmp_path / "absent", 4).problems
    assert "this folder does not exist; give the folder that holds train/" in str(problem)
    (problem,) = scan_raw_folder(tmp_path, 4).problems
    assert problem.path == tmp_path / "train"


def test_a_list_without_images_is_a_warning(raw_set):
    for path in (raw_set.root / "test_gt", raw_set.root / "test_release"):
        path.rename(raw_set.root / f"elsewhere_{path.name}")
    dataset = scan_raw_folder(raw_set.root, 2)
    assert dataset.problems == []
    assert "there is no test split" in dataset.warnings[0]


def test_stray_files(raw_set):
    train = raw_set.root / "train"
    (train / ".DS_Store").write_bytes(b"")
    (train / "readme.txt").write_text("hello")
    (train / "image_0" / "class3.tif").write_bytes(b"")
    (train / "image_1" / "class01.tif").write_bytes(b"")
    (train / "image_2" / "notes.txt").write_bytes(b"")
    dataset = scan_raw_folder(raw_set.root, 2)
    text = complaints(raw_set)
    assert "image_0/class3.tif: only 2 classes have a name" in text
    assert "image_1/class01.tif: its name means nothing here" in text
    assert len(dataset.problems) == 2
    assert dataset.warnings == [
        "train/readme.txt is not a folder and was ignored.",
        "train/image_2/notes.txt is not a TIFF and was ignored.",
    ]


def test_missing_image(raw_set):
    (raw_set.root / "train" / "image_3" / "image.tif").unlink()
    assert "image_3: it holds no image.tif" in complaints(raw_set)


def test_list_and_folder_disagree(raw_set):
    raw_set.test_list[0]["file_name"] = "gone.tif"
    raw_set.write_list(raw_set.test_list)
    text = complaints(raw_set)
    assert "test_0.tif: test_image_name_to_ids.json does not list it" in text
    assert "gone.tif: this file is listed" in text


def test_no_list(raw_set):
    (raw_set.root / "test_image_name_to_ids.json").unlink()
    assert "test_image_name_to_ids.json: this file does not exist" in complaints(raw_set)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"a": 1}, "it holds no list"),
        ([3], "entry 0 has no text `file_name`"),
        ([{"file_name": "test_0.tif", "id": "1"}], "no integer `id`"),
        ([{"file_name": "test_0.tif", "id": True}], "no integer `id`"),
        ([{"file_name": "test_0.tif", "id": 1, "height": 5}], "no integer height and width"),
        ([{"file_name": "../test_0.tif", "id": 1}], "without a folder"),
        ([{"file_name": "test_0.png", "id": 1}], "ending in .tif"),
        (
            [{"file_name": "test_0.tif", "id": 1}, {"file_name": "test_0.tif", "id": 2}],
            "'test_0.tif' is listed twice",
        ),
        (
            [{"file_name": "test_0.tif", "id": 1}, {"file_name": "test_1.tif", "id": 1}],
            "the id 1 is given to test_0.tif, test_1.tif",
        ),
    ],
)
def test_bad_lists(raw_set, entries, complaint):
    raw_set.write_list(entries)
    assert complaint in complaints(raw_set)


def test_unreadable_list(raw_set):
    (raw_set.root / "test_image_name_to_ids.json").write_bytes(b"[{")
    assert "not readable JSON" in complaints(raw_set)


def test_truth_and_images_disagree(raw_set):
    (raw_set.root / "test_gt" / "test_0").rename(raw_set.root / "test_gt" / "other")
    text = complaints(raw_set)
    assert "other: no image of this name is in test_release/" in text
    assert "test_0: the truth of this test image is missing" in text


def test_truth_without_images(raw_set):
    (raw_set.root / "test_release").rename(raw_set.root / "elsewhere")
    assert "test_gt: there is no test_release/" in complaints(raw_set)


def test_names_that_clash(raw_set):
    train = raw_set.root / "train"
    (train / "image_0").rename(train / "IMAGE_1")
    (train / "image_2").rename(train / "test_0")
    text = complaints(raw_set)
    assert "apart from upper and lower case, is also that of" in text
    assert "test_0.tif: its name is also that of" in text


@pytest.mark.parametrize("name", ["a|b", "line\nbreak", "back\\slash", "colon:", "dot.", "x" * 201])
def test_unsafe_names(raw_set, name):
    train = raw_set.root / "train"
    (train / "image_0").rename(train / name)
    assert "is not safe as a file name everywhere" in complaints(raw_set)


@pytest.mark.parametrize("name", ["a", "TCGA-2Z-A9JG-01Z-00-DX1_3", "größe 2 (b)", "v1.5+x"])
def test_safe_names(raw_set, name):
    train = raw_set.root / "train"
    (train / "image_0").rename(train / name)
    assert complaints(raw_set) == ""


@pytest.mark.parametrize(("on_disk", "in_list"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_names_in_another_normal_form(raw_set, make_tissue, on_disk, in_list):
    """A file that went through macOS has its name decomposed; its list does not."""
    name = "Präparat_é"
    mask = np.ones((12, 10), np.uint8)
    raw_set.add_test(unicodedata.normalize(on_disk, name), make_tissue(mask > 0), {1: mask})
    raw_set.test_list[-1]["file_name"] = unicodedata.normalize(in_list, name) + ".tif"
    raw_set.write_list(raw_set.test_list)
    dataset = scan_raw_folder(raw_set.root, 4)
    assert dataset.problems == []
    image = dataset.images[-1]
    assert image.name == unicodedata.normalize("NFC", name)
    assert image.image_path.is_file()
    assert list(image.mask_paths) == [1]


def test_a_name_in_both_normal_forms(raw_set, make_tissue):
    mask = np.ones((12, 10), np.uint8)
    for form in ("NFC", "NFD"):
        raw_set.add_test(unicodedata.normalize(form, "é"), make_tissue(mask > 0), {1: mask})
    found = "\n".join(map(str, scan_raw_folder(raw_set.root, 4).problems))
    assert found.count("its name is also that of") == 2  # the image and the folder of its truth


@pytest.mark.parametrize("name", ["class1.png", "Class_2.npy", "class3.tif.gz", "class 4.PNG"])
def test_masks_that_are_no_tiffs(raw_set, name):
    """They would be left out, and their cells would be background."""
    (raw_set.root / "train" / "image_0" / name).write_bytes(b"x")
    (problem,) = scan_raw_folder(raw_set.root, 4).problems
    assert problem.path.name == name
    assert "from TIFF files only" in problem.what


def test_a_folder_named_like_a_mask(raw_set):
    (raw_set.root / "train" / "image_0" / "class3.tif").mkdir()
    (problem,) = scan_raw_folder(raw_set.root, 4).problems
    assert "means nothing here" in problem.what
