from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def write_image(root: Path, name: str, rgb: np.ndarray, labels: np.ndarray) -> Path:
    folder = root / "stage1_train" / name
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    opaque = np.dstack((rgb[..., ::-1], np.full(rgb.shape[:2], 255, np.uint8)))
    cv2.imwrite(str(folder / "images" / f"{name}.png"), opaque)
    for value in np.unique(labels[labels > 0]):
        mask = np.where(labels == value, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{value * 7919:08x}.png")
    return folder


def test_every_nucleus(forms, prepared, tmp_path: Path) -> None:
    one = np.zeros((20, 30), int)
    one[0, 29] = 1
    names = {
        "00ae65c1": forms.odd_labels(1, 40, 36),
        "0d3640c1": one,
        "1b44d22": np.zeros((20, 20)),
    }
    for seed, (name, labels) in enumerate(names.items()):
        write_image(tmp_path, name, forms.noise(seed, *labels.shape), labels)
    test = tmp_path / "stage1_test" / "2a1a294e" / "images"
    test.mkdir(parents=True)
    cv2.imwrite(str(test / "2a1a294e.png"), np.zeros((4, 4, 3)))
    images = prepared("dsb2018", tmp_path)
    assert images.keys() == names.keys()
    for seed, name in enumerate(names):
        paths = (tmp_path / "stage1_train" / name / "masks").iterdir()
        masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]
        assert images[name].cells == {("nucleus", forms.pixels_of(mask)) for mask in masks}
        np.testing.assert_array_equal(images[name].rgb, forms.noise(seed, *names[name].shape))
        assert (images[name].mpp, images[name].patient) == (None, None)
    assert len(images["00ae65c1"].cells) >= 7
    assert images["0d3640c1"].cells == {("nucleus", frozenset({(0, 29)}))}


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    labels = forms.odd_labels(1, 40, 36)
    folders = [write_image(tmp_path, f"{n}a", forms.noise(n, 40, 36), labels) for n in range(5)]
    (folders[0] / "images" / "0a.png").unlink()
    bad = sorted((folders[1] / "masks").iterdir())[2]
    bad.write_bytes(b"no PNG")
    odd = sorted((folders[2] / "masks").iterdir())[3]
    Image.fromarray(np.zeros((40, 35), np.uint8)).save(odd)
    cv2.imwrite(str(folders[3] / "images" / "3a.png"), forms.noise(0, 41, 36))
    sentences = refused("dsb2018", tmp_path)
    for sentence, path, words in zip(
        sentences,
        (folders[0], bad, odd, folders[3]),
        ("0 PNG files", "not a readable PNG", "40 × 35 pixels", "40 × 36 pixels"),
        strict=True,
    ):
        assert sentence.startswith(f"{path}: ")
        assert words in sentence


def test_a_folder_without_masks(refused, tmp_path: Path) -> None:
    (tmp_path / "stage1_test").mkdir()
    assert any("masks" in sentence for sentence in refused("dsb2018", tmp_path))
