from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat, savemat

NAMES = ["neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective"]


def write_pair(root: Path, name: str, rgb: np.ndarray, labels: np.ndarray, part: int = 1) -> Path:
    """Rows in another order than the ids, as in the download."""
    images, folder = root / f"Lizard_Images{part}", root / "Lizard_Labels" / "Labels"
    images.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(images / f"{name}.png"), rgb[..., ::-1])
    ids = np.random.default_rng(5).permutation(np.unique(labels[labels > 0]))
    boxes, centroids = [], []
    for value in ids:
        rows, columns = np.nonzero(labels == value)
        boxes.append([rows.min(), rows.max(), columns.min(), columns.max()])
        centroids.append([columns.mean(), rows.mean()])
    savemat(
        folder / f"{name}.mat",
        {
            "inst_map": labels.astype(np.int32),
            "id": ids.reshape(-1, 1).astype(np.int32),
            "class": (ids.reshape(-1, 1) % 6 + 1).astype(np.uint8),
            "bbox": np.reshape(boxes, (-1, 4)),
            "centroid": np.reshape(centroids, (-1, 2)),
        },
    )
    return folder / f"{name}.mat"


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    one = np.zeros((25, 60), np.int32)
    one[0, 0] = 2
    paths = {
        "consep_1": write_pair(
            tmp_path, "consep_1", forms.noise(1, 45, 40), forms.odd_labels(3, 45, 40)
        ),
        "glas_4": write_pair(tmp_path, "glas_4", forms.noise(2, 25, 60), one, part=2),
        "dpath_9": write_pair(
            tmp_path, "dpath_9", forms.noise(3, 20, 20), np.zeros((20, 20), int), 2
        ),
    }
    (tmp_path / "Lizard_Labels" / "info.csv").write_text(
        "Filename,Source,Split\nconsep_1,consep,1\n"
    )
    images = prepared("lizard", tmp_path)
    assert images.keys() == paths.keys()
    for name, path in paths.items():
        truth = loadmat(path)
        rows = truth["id"].ravel().tolist()

        def name_of(i: int, rows: list = rows, truth: dict = truth) -> str:
            return NAMES[int(truth["class"][rows.index(i), 0]) - 1]

        assert images[name].cells == forms.cells_of(truth["inst_map"], name_of)
        assert (images[name].mpp, images[name].part) == (0.5, "train")
    assert len(images["consep_1"].cells) >= 7
    assert images["glas_4"].cells == {("lymphocyte", frozenset({(0, 0)}))}
    np.testing.assert_array_equal(images["glas_4"].rgb, forms.noise(2, 25, 60))


def test_every_bad_file_is_named(forms, refused, tmp_path: Path) -> None:
    labels = forms.odd_labels(0, 30, 30)
    paths = [write_pair(tmp_path, f"crag_{n}", forms.noise(n, 30, 30), labels) for n in range(1, 6)]
    ids = np.unique(labels)[1:, None]
    whole = {"inst_map": labels, "id": ids, "class": np.ones(ids.shape)}
    savemat(paths[0], {**whole, "class": np.full(ids.shape, 7)})
    savemat(paths[1], {**whole, "class": np.ones((3, 1))})
    savemat(paths[2], {**whole, "id": ids + 1000})
    savemat(paths[3], {**whole, "inst_map": labels[:20]})
    write_pair(tmp_path, "crag_5", forms.noise(5, 30, 30), labels, part=2)
    sentences = refused("lizard", tmp_path)
    assert [str(path) in s for path, s in zip(paths[:4], sentences, strict=False)] == [True] * 4
    for words, sentence in zip(
        (
            "class holds 7",
            f"{len(ids)} rows of id, but 3 of class",
            "the nucleus 3 of inst_map has no class",
            "20 × 30 pixels",
            "has the same name",
        ),
        sentences,
        strict=True,
    ):
        assert words in sentence
