from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

NAMES = [
    "other",
    "inflammatory",
    "healthy epithelial",
    "malignant epithelial",
    "fibroblast",
    "muscle",
    "endothelial",
]


def write_pair(root: Path, part: str, number: int, rgba: np.ndarray, labels: np.ndarray) -> Path:
    """Files as the makers save them: doubles, rows in the order of the ids."""
    images, folder = root / part / "Images", root / part / "Labels"
    images.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    stem = f"{part.lower()}_{number}"
    cv2.imwrite(str(images / f"{stem}.png"), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    ids = np.unique(labels[labels > 0])
    types = np.arange(len(ids)) % 7 + 1
    type_map = np.zeros(labels.shape)
    for value, kind in zip(ids, types, strict=True):
        type_map[labels == value] = kind
    centroids = [np.argwhere(labels == value)[:, ::-1].mean(axis=0) for value in ids]
    savemat(
        folder / f"{stem}.mat",
        {
            "inst_map": labels.astype(np.float64),
            "type_map": type_map,
            "inst_type": types.reshape(-1, 1).astype(np.float64),
            "inst_centroid": np.reshape(centroids, (-1, 2)),
        },
    )
    return folder / f"{stem}.mat"


def rgba(forms, seed: int, height: int, width: int) -> np.ndarray:
    pixels = forms.noise(seed, height, width, 4)
    pixels[..., 3] = 255
    return pixels


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    root = tmp_path / "CoNSeP"
    one = np.zeros((30, 40), np.int32)
    one[29, 39] = 1
    paths = {
        "train_1": write_pair(
            root, "Train", 1, rgba(forms, 1, 40, 50), forms.odd_labels(1, 40, 50)
        ),
        "train_2": write_pair(root, "Train", 2, rgba(forms, 2, 30, 40), np.zeros((30, 40), int)),
        "train_3": write_pair(root, "Train", 3, rgba(forms, 3, 30, 40), one),
        "test_1": write_pair(root, "Test", 1, rgba(forms, 4, 44, 36), forms.odd_labels(2, 44, 36)),
    }
    (root / "Train" / "Overlay").mkdir()
    cv2.imwrite(str(root / "Train" / "Overlay" / "train_1.png"), np.zeros((4, 4), np.uint8))
    (root / "__MACOSX" / "Labels").mkdir(parents=True)
    (root / "__MACOSX" / "Labels" / "._train_1.mat").write_bytes(b"x")

    images = prepared("consep", tmp_path)
    assert images.keys() == paths.keys()
    for name, path in paths.items():
        truth = loadmat(path)
        rows = np.unique(truth["inst_map"])[1:].tolist()
        kinds = truth["inst_type"].ravel().astype(int).tolist()
        kind_of = dict(zip(rows, kinds, strict=True))
        expected = forms.cells_of(truth["inst_map"], lambda i, k=kind_of: NAMES[k[i] - 1])
        assert images[name].cells == expected
        assert images[name].mpp == 0.25
        assert images[name].patient is None
        assert images[name].part == name.partition("_")[0]
    assert len(images["train_1"].cells) >= 7
    assert images["train_2"].cells == set()
    assert images["train_3"].cells == {("other", frozenset({(29, 39)}))}
    np.testing.assert_array_equal(images["train_1"].rgb, rgba(forms, 1, 40, 50)[..., :3])


def test_the_class_of_most_pixels_then_that_of_the_list(forms, prepared, tmp_path: Path) -> None:
    labels = np.zeros((20, 20), np.uint16)
    labels[2:5, 2:6], labels[10:12, 10:14] = 1, 2
    path = write_pair(tmp_path, "Train", 1, rgba(forms, 1, 20, 20), labels)
    type_map = np.zeros((20, 20), np.uint8)
    type_map[2:4, 2:6], type_map[4, 2:6] = 5, 3
    arrays = {"inst_map": labels, "type_map": type_map, "inst_type": [[2], [6]]}
    savemat(path, arrays)
    names = {name for name, _ in prepared("consep", tmp_path)["train_1"].cells}
    assert names == {"fibroblast", "muscle"}


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    labels = forms.odd_labels(0, 30, 30)
    paths = [
        write_pair(tmp_path, "Train", number, rgba(forms, number, 30, 30), labels)
        for number in range(1, 10)
    ]
    whole = {"inst_map": labels, "type_map": labels > 0, "inst_type": [[1]]}
    savemat(paths[0], {"inst_map": labels})
    savemat(paths[1], {**whole, "inst_map": labels + 0.5})
    savemat(paths[2], {**whole, "type_map": labels})
    savemat(paths[3], {**whole, "type_map": np.zeros((30, 31))})
    savemat(paths[4], {**whole, "type_map": np.zeros((30, 30))})
    savemat(paths[5], {**whole, "inst_map": "no map"})
    paths[6].write_bytes(b"no MATLAB " * 30)
    paths[7].unlink()
    (tmp_path / "Train" / "Images" / "train_9.png").write_bytes(b"no image")
    sentences = refused("consep", tmp_path)
    folder = tmp_path / "Train"
    for sentence, path, words in zip(
        sentences,
        (*paths[:7], folder / "Images" / "train_8.png", folder / "Images" / "train_9.png"),
        (
            "it lacks type_map",
            "inst_map holds 0.5, not whole numbers",
            "type_map holds 41, not whole numbers from 0 to 7",
            "type_map (30, 31)",
            "instance 3 has no class",
            "inst_map is char",
            "not a readable MATLAB file",
            "its annotation is missing",
            "not an image",
        ),
        strict=True,
    ):
        assert sentence.startswith(f"{path}: ")
        assert words in sentence


@pytest.mark.parametrize("folder", ["nothing", "absent"])
def test_a_folder_without_the_set(refused, tmp_path: Path, folder: str) -> None:
    (tmp_path / "nothing").mkdir()
    (sentence,) = [
        s for s in refused("consep", tmp_path / folder) if "Labels" in s or "folder" in s
    ]
    assert str(tmp_path / folder) in sentence
