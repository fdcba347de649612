from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import generate_binary_structure, label


def write_pair(root: Path, slide: int, number: int, rgb: np.ndarray, truth: np.ndarray) -> Path:
    for folder in (f"Slide_{slide:02d}", f"GT_{slide:02d}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stem = f"{slide:02d}_{number}"
    opaque = np.dstack((rgb[..., ::-1], np.full(rgb.shape[:2], 255, np.uint8)))
    cv2.imwrite(str(root / f"Slide_{slide:02d}" / f"{stem}.png"), opaque)
    path = root / f"GT_{slide:02d}" / f"{stem}.png"
    Image.fromarray(truth.astype(np.uint8)).save(path)
    return path


def nuclei(forms, truth: np.ndarray) -> set:
    """The pieces of each value, at corners connected, by SciPy."""
    found = set()
    for value in np.unique(truth[truth > 0]):
        pieces, _ = label(truth == value, generate_binary_structure(2, 2))
        found |= forms.cells_of(pieces, lambda _: "nucleus")
    return found


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    root = tmp_path / "TNBC_NucleiSegmentation"
    binary = np.where(np.isin(forms.odd_labels(1, 40, 40), (0, 3)), 0, 255)
    valued = forms.odd_labels(2, 40, 40) % 251
    corner = np.zeros((20, 20))
    corner[3:6, 3:6], corner[6:9, 6:9], corner[19, 19] = 255, 255, 255
    truths = {"01_1": binary, "01_2": valued, "02_1": corner, "11_3": np.zeros((20, 20))}
    for name, truth in truths.items():
        slide, number = map(int, name.split("_"))
        write_pair(root, slide, number, forms.noise(slide, *truth.shape), truth)
    (root / "GT_01" / ".DS_Store").write_bytes(b"")
    images = prepared("tnbc", tmp_path)
    assert images.keys() == truths.keys()
    for name, truth in truths.items():
        assert images[name].cells == nuclei(forms, truth)
        assert images[name].patient == f"Slide_{name[:2]}"
        assert images[name].mpp is None
    assert len(images["02_1"].cells) == 2
    assert len(images["01_2"].cells) > 7  # 3 touches 7
    np.testing.assert_array_equal(images["01_1"].rgb, forms.noise(1, 40, 40))


def test_colours_are_values(forms, prepared, tmp_path: Path) -> None:
    path = write_pair(tmp_path, 1, 1, forms.noise(1, 20, 20), np.zeros((20, 20)))
    truth = np.zeros((20, 20, 4), np.uint8)
    truth[2:6, 2:6], truth[2:6, 6:9] = (255, 0, 0, 255), (0, 0, 255, 255)
    Image.fromarray(truth).save(path)
    areas = sorted(len(pixels) for _, pixels in prepared("tnbc", tmp_path)["01_1"].cells)
    assert areas == [12, 16]


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    paths = [
        write_pair(tmp_path, 1, n, forms.noise(n, 30, 30), forms.odd_labels(n, 30, 30) % 251)
        for n in range(4)
    ]
    data = bytearray(paths[0].read_bytes())
    data[len(data) // 2] ^= 0xFF
    paths[0].write_bytes(data)
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    Image.fromarray(np.zeros((30, 31), np.uint8)).save(paths[2])
    (tmp_path / "Slide_01" / "01_3.png").write_bytes(b"")
    sentences = refused("tnbc", tmp_path)
    assert len(sentences) == 4
    for sentence, path in zip(
        sentences, [*paths[:3], tmp_path / "Slide_01" / "01_3.png"], strict=True
    ):
        assert sentence.startswith(f"{path}: ")
