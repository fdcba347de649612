"""The page of the audit: what it says, what it shows, and that it asks nothing of a network."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.reporting.audit_page import ODD_COLOUR, write_audit_page
from cellseg_mm.structures.palette import rgb


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Three images with a cell of 40 × 40 pixels; the first has a stray of 3 pixels, too."""
    for index, (top, left) in enumerate([(20, 30), (45, 75), (2, 5)]):
        mask = np.zeros((90, 120), np.uint16)
        mask[top : top + 40, left : left + 40] = 1
        pixels = np.where(mask[..., None] > 0, [90, 70, 150], [210, 150, 190])
        if index == 0:
            mask[80, 100:103] = 2
        folder = tmp_path / "a <b> & c" / "train" / f"image_{index}"
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "image.tif", pixels.astype(np.uint8), photometric="rgb")
        tifffile.imwrite(folder / "class1.tif", mask)
    return tmp_path / "a <b> & c"


def prepare(raw: Path, out: Path) -> str:
    options = PrepareOptions(raw=raw, out=out, classes=("<i>cell",), val_fraction=0.4)
    prepare_dataset(options, write_audit_page)
    return (out / "audit.html").read_text(encoding="utf-8")


def pictures(page: str) -> list[np.ndarray]:
    codes = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in codes]


def test_what_is_odd_is_told_and_shown(raw: Path, tmp_path: Path) -> None:
    page = prepare(raw, tmp_path / "out")
    assert "<h1>Audit of a &lt;b&gt; &amp; c</h1>" in page
    assert "1 image with cells of fewer than 10 pixels: train/image_0." in page
    assert "<figcaption>train/image_0<br>3 px</figcaption>" in page
    (picture,) = pictures(page)
    assert picture.shape == (240, 240, 3)
    # A window of 48 px around (101.5, 80.5), moved into the image: from (72, 42). Five times as
    # large, the stray is 15 × 5 pixels from (140, 190), all of them outline: two from each side.
    assert np.abs(picture[192, 142:153].astype(int) - rgb(ODD_COLOUR)).mean() < 60
    assert np.abs(picture[100, 142:153].astype(int) - [210, 150, 190]).mean() < 10


def test_it_is_part_of_the_folder_that_a_rerun_replaces(raw: Path, tmp_path: Path) -> None:
    first = prepare(raw, tmp_path / "out")
    assert prepare(raw, tmp_path / "out") == first
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "annotations", "audit.html", "audit.json", "audit.md", "images", "labels", "splits"
    }  # fmt: skip


def test_it_asks_for_nothing(raw: Path, tmp_path: Path) -> None:
    page = prepare(raw, tmp_path / "out")
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://|@import|url\(", page)
    assert set(re.findall(r'(?:src|href)="([^"]{0,5})', page)) <= {
        "data:", "#find", "#spli", "#size", "#imag"
    }  # fmt: skip


def test_a_page_without_findings(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out)
    audit = json.loads((out / "audit.json").read_text())
    write_audit_page(out, audit | {"findings": []})
    page = (out / "audit.html").read_text(encoding="utf-8")
    assert "Nothing odd was found." in page
    assert pictures(page) == []


def test_places_without_planes_and_whole_images(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out)
    audit = json.loads((out / "audit.json").read_text())
    (out / "labels" / "image_1.tif").unlink()
    places = [
        {"image": "train/image_1", "box": [0, 0, 5, 5], "cells": [], "note": ""},
        {"image": "train/image_2", "box": None, "cells": [], "note": "whole"},
    ]
    finding = {"title": "Any", "sentence": "Some.", "places": places}
    write_audit_page(out, audit | {"findings": [finding]})
    corner, whole = pictures((out / "audit.html").read_text(encoding="utf-8"))
    assert corner.shape == (240, 240, 3)
    assert whole.shape == (90, 120, 3)
