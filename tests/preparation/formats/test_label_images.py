"""Label images of Cellpose, StarDist and NumPy, against the arrays that they were made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.formats.annotated_image import ReadOptions
from cellseg_mm.preparation.formats.registry import FORMATS, TOOLS

HEIGHT, WIDTH = 40, 36
NUCLEI = ReadOptions(default_class="nucleus")


def save_image(path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (200, 150, 180)).save(path)
    return path


def save_labels(path: Path, labels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith("_seg.npy"):
        record = {
            **{"filename": "a.png", "masks": labels, "outlines": labels > 0, "est_diam": 17.5},
            **{"chan_choose": [0, 0], "ismanual": np.zeros(3, bool), "flows": [labels, [], None]},
            "diameter": np.float64(3.5),
        }
        np.save(path, record)
    elif path.suffix == ".npy":
        np.save(path, labels)
    elif path.suffix == ".png":
        Image.fromarray(labels.astype(np.uint16)).save(path)
    else:
        tifffile.imwrite(path, labels.astype(np.uint16), compression="zlib")
    return path


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/a.tif", "masks/a.tif"),
        ("images/a.png", "Labels/a.tiff"),
        ("a.png", "a_masks.png"),
        ("a.png", "a_cp_masks.tif"),
        ("a_img.png", "a_masks.png"),
        ("a.tif", "a_seg.npy"),
        ("deep/a.png", "a.npy"),
        ("a.png", "a_label.npy"),
        ("a.png", "a_labels.ome.tif"),
    ],
)
def test_forms_and_names(forms, prepared, tmp_path: Path, image: str, labels: str) -> None:
    source = tmp_path / "export"
    save_image(source / image)
    ids = forms.odd_labels(1, HEIGHT, WIDTH)
    save_labels(source / labels, ids)
    images = prepared("label-images", source, read=NUCLEI)
    (found,) = images.values()
    assert found.cells == forms.cells_of(ids, lambda _: "nucleus")
    assert len(found.cells) >= 7
    assert found.part == "train"
    assert set(images) == {Path(image).stem}


def test_parts_empty_images_and_one_cell(forms, prepared, tmp_path: Path) -> None:
    source = tmp_path / "set"
    one = np.zeros((HEIGHT, WIDTH), int)
    one[HEIGHT - 1, 0] = 1
    every = {"train/a": np.zeros((HEIGHT, WIDTH)), "train/b": one, "test/a": one}
    for name, ids in every.items():
        folder, stem = name.split("/")
        save_image(source / folder / "images" / f"{stem}.png")
        save_labels(source / folder / "masks" / f"{stem}.tif", ids)
    images = prepared("label-images", source, read=NUCLEI)
    only = {("nucleus", frozenset({(HEIGHT - 1, 0)}))}
    assert {name: (found.part, found.cells) for name, found in images.items()} == {
        "train_images_a": ("train", set()),
        "b": ("train", only),
        "test_images_a": ("test", only),
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_classes_of_a_table(forms, prepared, tmp_path: Path, delimiter: str) -> None:
    source = tmp_path / "export"
    ids = forms.odd_labels(1, HEIGHT, WIDTH)
    for name in ("a", "b"):
        save_image(source / f"{name}.png")
        save_labels(source / f"{name}_masks.png", ids)
    rows = [["image", "score", "class", "id"]]
    rows += [["a", "0.5", f" kind {i % 2} ", str(i)] for i in np.unique(ids).tolist() if i != 900]
    rows += [["b", "0.5", "other", str(i)] for i in np.unique(ids).tolist()]
    table = tmp_path / "classes.csv"
    table.write_text("\ufeff" + "\n".join(map(delimiter.join, rows)))
    read = ReadOptions(cell_classes=table, default_class="nucleus")
    images = prepared("label-images", source, read=read)
    assert images["a"].cells == forms.cells_of(
        ids, lambda i: "nucleus" if i == 900 else f"kind {i % 2}"
    )
    assert images["b"].cells == forms.cells_of(ids, lambda _: "other")


def test_a_folder_of_tables(forms, tmp_path: Path) -> None:
    source = tmp_path / "export"
    for name in ("a", "b"):
        save_image(source / f"{name}.png")
        save_labels(source / f"{name}.npy", forms.odd_labels(1, HEIGHT, WIDTH))
    (source / "a.csv").write_text("id,class\n7,x\n3,y\n")
    (source / "b.csv").write_text("id,class\n41,z\n")
    read = ReadOptions(cell_classes=source)
    done = convert_dataset(ConvertOptions("label-images", source, tmp_path / "raw", read=read))
    assert done.cells == {"x": 1, "y": 1, "z": 1}
    assert set(done.left_out) == {""}


def test_every_bad_file_is_named(forms, refused_files, tmp_path: Path) -> None:
    source = tmp_path / "export"
    ids = forms.odd_labels(1, HEIGHT, WIDTH)
    bad = {
        "cut_masks.png": "not a readable PNG",
        "cut_seg.npy": "not a readable _seg.npy",
        "cut.npy": "not a readable .npy file",
        "cut_masks.tif": "truncated",
        "flat.npy": "its array has the shape (1440,), not height × width",
        "half.npy": "it holds 0.5, not whole numbers",
        "text.npy": "it holds <U1 values",
        "stack_seg.npy": "its array has the shape (2, 40, 36)",
        "objects.npy": "not a readable .npy file",
        "size_masks.png": "it says that the image size is 39 × 36 pixels",
    }
    for name in bad:
        stem = name.split("_")[0].split(".")[0]
        save_image(source / name.replace(".", "-") / f"{stem}.png")
        path = source / name.replace(".", "-") / name
        labels = {
            "flat": ids.ravel(),
            "half": ids + 0.5,
            "text": np.full((HEIGHT, WIDTH), "x"),
            "stack": np.stack([ids, ids]),
            "objects": np.full((HEIGHT, WIDTH), None),
            "size": ids[1:],
        }.get(stem, ids)
        save_labels(path, labels)
        if stem == "cut":
            path.write_bytes(path.read_bytes()[:-40])
    save_labels(source / "lost_masks.png", ids)
    words = {**bad, "lost_masks.png": "its image 'lost' is not in"}
    refused_files("label-images", source, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "this file does not exist"),
        ("", "no columns 'id' and 'class'"),
        ("id,name\n1,x", "no columns 'id' and 'class'"),
        ("id,class\nx,y", "line 2 has the id 'x'"),
        ("id,class\n²,y", "line 2 has the id"),
        ('id,class\n1,"y', "not readable as CSV"),
        (b"\xff\xfe", "not readable as CSV"),
    ],
)
def test_bad_tables(forms, refused, tmp_path: Path, text: str | bytes | None, words: str) -> None:
    source, table = tmp_path / "export", tmp_path / "classes.csv"
    save_image(source / "a.png")
    save_labels(source / "a_masks.png", forms.odd_labels(1, HEIGHT, WIDTH))
    if text is not None:
        table.write_bytes(text if isinstance(text, bytes) else text.encode())
    (sentence,) = refused("label-images", source, read=ReadOptions(cell_classes=table))
    assert sentence.startswith(f"{table}: ")
    assert words in sentence


def test_cells_without_a_class(forms, refused, tmp_path: Path) -> None:
    save_image(tmp_path / "export/a.png")
    save_labels(tmp_path / "export/a_masks.png", forms.odd_labels(1, HEIGHT, WIDTH))
    (sentence,) = refused("label-images", tmp_path / "export")
    assert "--default-class nucleus" in sentence
    (tmp_path / "empty").mkdir()
    assert "no label image" in refused("label-images", tmp_path / "empty", read=NUCLEI)[0]


def test_a_tool_names_its_format(tmp_path: Path, run_python: Any) -> None:
    save_image(tmp_path / "export/a.png")
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[4:9, 5:12] = 1
    save_labels(tmp_path / "export/a_seg.npy", labels)
    arguments = ("Cellpose", tmp_path / "export", tmp_path / "raw", "--default-class", "nucleus")
    result = run_python("data_prep/convert.py", *map(str, arguments))
    assert result.returncode == 0, result.stderr
    assert "cells: 1 nucleus" in result.stdout
    assert set(TOOLS.values()) < set(FORMATS)
