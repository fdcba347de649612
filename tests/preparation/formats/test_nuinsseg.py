from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image


def write_pair(root: Path, organ: str, number: int, rgb: np.ndarray, labels: np.ndarray) -> Path:
    stem = f"{organ.replace(' ', '_')}_{number:02d}"
    for folder in ("tissue images", "label masks modify", "label masks", "vague areas"):
        (root / organ / folder).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / organ / "tissue images" / f"{stem}.png"), rgb[..., ::-1])
    path = root / organ / "label masks modify" / f"{stem}.tif"
    tifffile.imwrite(path, labels.astype(np.uint16))
    # Not read: overlaps have ids of their own here.
    tifffile.imwrite(root / organ / "label masks" / f"{stem}.tif", labels.astype(np.uint16) + 1)
    return path


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    one = np.zeros((30, 30), int)
    one[29, 0] = 1
    paths = {
        "human_bladder_01": write_pair(
            tmp_path, "human bladder", 1, forms.noise(1, 40, 40), forms.odd_labels(1, 40, 40)
        ),
        "human_bladder_02": write_pair(tmp_path, "human bladder", 2, forms.noise(2, 30, 30), one),
        "mouse_liver_01": write_pair(
            tmp_path, "mouse liver", 1, forms.noise(3, 20, 20), np.zeros((20, 20))
        ),
    }
    images = prepared("nuinsseg", tmp_path)
    assert images.keys() == paths.keys()
    for name, path in paths.items():
        labels = np.array(Image.open(path))
        assert images[name].cells == forms.cells_of(labels, lambda _: "nucleus")
        assert images[name].mpp is None
    assert len(images["human_bladder_01"].cells) >= 7
    assert [image.patient for image in images.values()] == [
        "human bladder",
        "human bladder",
        "mouse liver",
    ]
    np.testing.assert_array_equal(images["human_bladder_01"].rgb, forms.noise(1, 40, 40))


def test_the_size_of_a_pixel_can_be_said(forms, prepared, tmp_path: Path) -> None:
    write_pair(tmp_path, "human bladder", 1, forms.noise(1, 40, 40), forms.odd_labels(1, 40, 40))
    assert prepared("nuinsseg", tmp_path, mpp=0.25)["human_bladder_01"].mpp == 0.25


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    labels = forms.odd_labels(1, 40, 40)
    paths = [
        write_pair(tmp_path, "human bladder", n, forms.noise(n, 40, 40), labels) for n in range(4)
    ]
    tifffile.imwrite(paths[0], np.full((40, 40), 0.5))
    tifffile.imwrite(paths[1], labels[:30].astype(np.uint16))
    paths[2].write_bytes(b"II*\0")
    (tmp_path / "human bladder" / "tissue images" / "human_bladder_03.png").unlink()
    sentences = refused("nuinsseg", tmp_path)
    for sentence, path, words in zip(
        sentences, paths, ("fractional", "30 × 40", "TIFF", "its image is missing"), strict=True
    ):
        assert sentence.startswith(f"{path}: ")
        assert words in sentence
