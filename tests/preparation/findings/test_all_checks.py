"""Each check finds what was spoilt, and only that; a clean data set has no finding."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest


def only_finding(audit: dict) -> dict:
    (finding,) = audit["findings"]
    assert audit["warnings"] == [finding["sentence"]]
    return finding


def test_a_clean_data_set_has_no_finding(clean, audit):
    clean.facts(
        images={f"image_{n}": {"mpp": 0.25 + 0.001 * n, "patient": f"p{n}"} for n in range(8)}
        | {"test_0": {"mpp": 0.26, "patient": "q"}},
    )
    found = audit(clean)
    assert found["findings"] == found["warnings"] == []


def test_the_same_pixels(clean, audit):
    pixels = clean.pixels("image_3")
    clean.add("image_3_again", pixels)
    finding = only_finding(audit(clean, val_fraction=0.5))
    assert finding["sentence"] == (
        "1 image more than once: train/image_3 = train/image_3_again (the same pixels)."
    )
    assert [place["image"] for place in finding["places"]] == [
        "train/image_3",
        "train/image_3_again",
    ]


def test_the_same_tissue_smaller_and_compressed_in_the_test_part(clean, audit):
    pixels = clean.pixels("image_5")
    small = cv2.resize(pixels, (48, 48), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    clean.replace_test_image(again)
    assert only_finding(audit(clean))["sentence"] == (
        "1 image more than once: train/image_5 = test/test_0 (another size or compression). 1 of "
        "them in train and test: test scores will be too good."
    )


def test_images_of_the_same_tissue_stay_in_one_part(clean, audit, tmp_path):
    pixels = clean.pixels("image_5")
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    clean.add("again", again)
    for seed in range(4):
        assert audit(clean, seed=seed, val_fraction=0.5)["split"]["groups"] == 8
        val = json.loads((tmp_path / "out/annotations/val.json").read_text())
        names = {image["file_name"] for image in val["images"]}
        assert len(names & {"train/image_5.png", "train/again.png"}) != 1


def test_patients_of_train_and_test(clean, audit):
    clean.facts(images={"image_1": {"patient": "p"}, "test_0": {"patient": "p"}})
    finding = only_finding(audit(clean))
    assert finding["sentence"].startswith("1 patient with images in train and test (p)")
    assert [place["note"] for place in finding["places"]] == ["p, train", "p, test"]


def test_patients_of_training_and_validation_in_a_kept_split(clean, audit, tmp_path):
    audit(clean)
    names = [f"image_{n}" for n in range(8)]
    (split,) = (tmp_path / "out/splits").iterdir()
    record = json.loads(split.read_text())
    record["folds"] = [{"train": names[:6], "val": names[6:]}]
    split.write_text(json.dumps(record))
    clean.facts(images={name: {"patient": "p"} for name in names[5:7]})
    finding = only_finding(audit(clean))
    assert finding["sentence"] == (
        "1 patient with images in training and validation (p): validation scores will be too good."
    )
    assert [place["image"] for place in finding["places"]] == ["train/image_5", "train/image_6"]


@pytest.mark.parametrize("other", ["TUMOUR Cell", "tumour  cell", "tumour_cell"])
def test_class_names_in_two_spellings(clean, audit, other):
    sentence = only_finding(audit(clean, classes=("tumour cell", other)))["sentence"]
    assert f"case or blanks: 'tumour cell' = {other!r}." in sentence


def test_a_class_table_that_joins_the_names_is_the_cure(clean, audit, tmp_path):
    table = tmp_path / "classes.yaml"
    table.write_text("tumour: tumour\nTumour: tumour\n")
    assert audit(clean, classes=("tumour", "Tumour"), class_table=table)["findings"] == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("outside", "3 cells outside of the image, left out"),
        ("cut off", "3 cells beyond the border of the image by more than a pixel, cut off"),
        ("self-crossing", "3 cells with an outline that crosses itself"),
        ("repeated", "3 cells annotated twice in one class"),
    ],
)
def test_what_the_conversion_noted(clean, audit, kind, words):
    note = {"image": "image_2", "kind": kind, "cells": 3, "places": [[70.5, -3], [5.2, 7.9]]}
    clean.facts(findings=[note, {**note, "image": "gone"}])
    finding = only_finding(audit(clean))
    assert finding["sentence"].startswith(words)
    assert finding["sentence"].endswith(": train/image_2.")
    # The nearest pixel of the image, and the one at the place.
    assert [place["box"] for place in finding["places"]] == [[63, 0, 64, 1], [5, 7, 6, 8]]


def test_the_same_cell_in_two_classes(clean, audit):
    def repeat(masks):
        # Cell 1 of class 1, rows and columns 2 to 7, again in class 2 with 34 and 32 of 36 pixels.
        masks[2][2:8, 2:8] = 77
        masks[2][2, 2:4] = 0
        # Cell 3 of class 1, 6 × 6 from (2, 22): 32 / 36 = .89 is another cell.
        masks[2][2:8, 22:28] = 78
        masks[2][2, 22:26] = 0

    clean.change("image_4", repeat)
    twice, overlap = audit(clean)["findings"]
    assert twice["sentence"] == (
        "1 cell annotated twice, in two classes (IoU above 0.9): train/image_4."
    )
    # 18 cells of class 1; of class 2, ids 77 and 78 come after its 18 own ones.
    assert twice["places"] == [
        {"image": "train/image_4", "box": [2, 2, 8, 8], "cells": [1, 37], "note": "IoU 0.94"}
    ]
    assert overlap["title"] == "Cells that overlap"
    assert [place["note"] for place in overlap["places"]] == ["34 px", "32 px"]


def test_cells_in_pieces_and_tiny_ones(clean, audit):
    def spoil(masks):
        masks[1][60, 60] = 1  # a second piece of cell 1
        masks[2][62, 10:19] = 99  # nine pixels

    clean.change("image_0", spoil)
    pieces, tiny = audit(clean)["findings"]
    assert pieces["sentence"].startswith("1 image with cells of several pieces")
    assert pieces["places"][0]["box"] == [2, 2, 61, 61]
    assert tiny["sentence"] == "1 image with cells of fewer than 10 pixels: train/image_0."
    assert tiny["places"] == [
        {"image": "train/image_0", "box": [10, 62, 19, 63], "cells": [37], "note": "9 px"}
    ]


def test_images_without_cells(clean, audit):
    clean.change("image_6", dict.clear)
    finding = only_finding(audit(clean))
    assert finding["sentence"] == "1 image with no cell at all: train/image_6."
    assert finding["places"][0]["box"] is None


def test_stated_magnification_that_differs(clean, audit):
    scales = {f"image_{n}": {"mpp": 0.25} for n in range(7)}
    clean.facts(images=scales | {"image_7": {"mpp": 0.5}})
    finding = only_finding(audit(clean))
    assert finding["sentence"] == (
        "The images state 0.25 to 0.5 µm per pixel, most of them about 0.25; 1 image differs: "
        "train/image_7."
    )


def larger(masks):
    """The same 36 cells of class 1 and 2, 10 × 10 pixels each: 1.67 times the diameter."""
    for number in range(36):
        row, column = divmod(number, 6)
        masks[1 + number % 2][10 * row :, 10 * column :][:10, :10] = number + 1


def test_apparent_magnification_that_differs(clean, audit):
    clean.change("image_7", larger)
    finding = only_finding(audit(clean))
    assert finding["title"] == "Magnification"
    assert finding["sentence"].endswith("as at another magnification: train/image_7.")
    # √(4 · 100 / π) px, against √(4 · 36 / π) px.
    assert finding["places"][0]["note"] == "median cell 11.3 px, 1.67 × the rest"


def test_stated_scales_explain_other_sizes(clean, audit):
    clean.change("image_7", larger)
    scales = {f"image_{n}": {"mpp": 0.25} for n in range(7)} | {"test_0": {"mpp": 0.25}}
    clean.facts(images=scales | {"image_7": {"mpp": 0.15}})
    # 10 px of 0.15 µm and 6 px of 0.25 µm are the same; only the statement differs.
    assert "0.15 to 0.25 µm" in only_finding(audit(clean))["sentence"]


def test_large_and_small_cells_of_two_classes_are_no_magnification(clean, audit):
    """An image of one class alone: its cells are larger than the median of the data set."""

    def mixed(masks):
        """18 cells of class 1 with 6 × 6 pixels, 18 of class 2 with 10 × 10."""
        small = masks[1].copy()
        larger(masks)
        masks[1][:] = small

    def grow(masks):
        """36 cells of class 2 with 10 × 10 pixels."""
        larger(masks)
        masks[2] += masks[1]
        masks[1][:] = 0

    for index in range(7):
        clean.change(f"image_{index}", mixed)
    clean.change("image_7", grow)
    assert [f for f in audit(clean)["findings"] if f["title"] == "Magnification"] == []


def test_places_are_spread_over_the_images(clean, audit):
    def strays(masks):
        masks[1][62, 0:64:4] = np.arange(100, 116)

    for name in ("image_1", "image_2"):
        clean.change(name, strays)
    places = only_finding(audit(clean))["places"]
    assert [place["image"] for place in places] == ["train/image_1", "train/image_2"] * 6
