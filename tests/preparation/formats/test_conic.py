from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation.formats import conic
from cellseg_mm.preparation.formats.annotated_image import ReadOptions

NAMES = ["neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective"]


def write_set(root: Path, forms, sizes: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Four patches: odd cells twice, none, one cell of one pixel."""
    ids = np.zeros((4, sizes, sizes), np.uint16)
    ids[0], ids[1] = forms.odd_labels(1, sizes, sizes), forms.odd_labels(2, sizes, sizes)
    ids[3, 0, sizes - 1] = 1
    types = np.where(ids > 0, ids % 6 + 1, 0).astype(np.uint16)
    images = np.stack([forms.noise(n, sizes, sizes) for n in range(4)])
    np.save(root / "images.npy", images)
    np.save(root / "labels.npy", np.stack((ids, types), axis=-1))
    names = ["consep_1-0000", "consep_1-0001", "glas_12-0003", "dpath_2-0000"]
    (root / "patch_info.csv").write_text("\n".join(["patch_info", *names]) + "\n")
    (root / "counts.csv").write_text("neutrophil,epithelial\n" + "0,0\n" * 4)
    return images, np.load(root / "labels.npy")


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    pixels, labels = write_set(tmp_path, forms)
    images = prepared("conic", tmp_path)
    assert list(images) == ["consep_1-0000", "consep_1-0001", "dpath_2-0000", "glas_12-0003"]
    for index, name in enumerate(
        ["consep_1-0000", "consep_1-0001", "glas_12-0003", "dpath_2-0000"]
    ):
        ids, types = labels[index, ..., 0], labels[index, ..., 1]
        expected = forms.cells_of(ids, lambda i, d=ids, t=types: NAMES[int(t[d == i][0]) - 1])
        assert images[name].cells == expected
        np.testing.assert_array_equal(images[name].rgb, pixels[index])
        assert (images[name].mpp, images[name].patient) == (0.5, name.split("-")[0])
    assert len(images["consep_1-0000"].cells) >= 7
    assert len(images["glas_12-0003"].cells) == 0
    assert images["dpath_2-0000"].cells == {("epithelial", frozenset({(0, 63)}))}


def test_without_the_list_patches_are_numbered(forms, tmp_path: Path) -> None:
    write_set(tmp_path, forms)
    (tmp_path / "patch_info.csv").unlink()
    images = list(conic.read(tmp_path, ReadOptions()))
    assert [image.name for image in images] == ["0000", "0001", "0002", "0003"]
    assert {image.patient for image in images} == {None}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "labels.npy").unlink(), "does not exist"),
        (
            lambda root: np.save(root / "labels.npy", np.zeros((3, 64, 64, 2))),
            "of shape (3, 64, 64, 2)",
        ),
        (
            lambda root: np.save(root / "labels.npy", np.full((4, 64, 64, 2), 7, np.uint16)),
            "holds 7",
        ),
        (lambda root: np.save(root / "images.npy", np.array([{}], dtype=object)), "of shape (1,)"),
        (
            lambda root: np.save(root / "images.npy", np.full((4, 64, 64, 3), 256.0)),
            "than 0 to 255",
        ),
        (
            lambda root: (root / "images.npy").write_bytes((root / "images.npy").read_bytes()[:-1]),
            "cut short",
        ),
        (lambda root: (root / "images.npy").write_bytes(b"PK"), "not a .npy file"),
        (
            lambda root: (root / "patch_info.csv").write_text("patch_info\na-1\n"),
            "it names 1 patches",
        ),
        (
            lambda root: (root / "patch_info.csv").write_text("patch_info\na-1\nb-1\nA-1\nc-1\n"),
            "twice",
        ),
    ],
)
def test_bad_files(forms, refused, tmp_path: Path, damage, words: str) -> None:
    write_set(tmp_path, forms)
    damage(tmp_path)
    sentences = refused("conic", tmp_path)
    assert any(words in sentence for sentence in sentences), sentences


def test_instances_without_a_class(forms, refused, tmp_path: Path) -> None:
    _, labels = write_set(tmp_path, forms)
    labels[1][labels[1][..., 0] == 40, 1] = 0
    labels[3, ..., 1] = 0
    np.save(tmp_path / "labels.npy", labels)
    sentences = refused("conic", tmp_path)
    assert ["instance 40 of patch 1" in sentences[0], "instance 1 of patch 3" in sentences[1]] == [
        True,
        True,
    ]
