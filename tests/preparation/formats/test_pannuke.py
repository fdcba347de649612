from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

NAMES = ["neoplastic", "inflammatory", "connective", "dead", "epithelial"]
TISSUES = ["Breast", "Adrenal_gland", "HeadNeck"]


def write_fold(root: Path, number: int, forms, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Three patches as float64: odd cells over the classes, none, one in each of two classes."""
    masks = np.zeros((3, size, size, 6))
    labels = forms.odd_labels(number, size, size)
    for position, value in enumerate(np.unique(labels)[1:]):
        masks[0][labels == value, position % 5] = value
    masks[2, 0:3, 0:3, 3] = 5
    masks[2, 20:22, 20:30, 4] = 5  # the same id in another channel is another nucleus
    masks[..., 5] = ~masks[..., :5].any(axis=-1)
    images = np.stack([forms.noise(n + 10 * number, size, size) for n in range(3)])
    for kind in ("images", "masks"):
        (root / f"Fold {number}" / kind / f"fold{number}").mkdir(parents=True)
    folder = root / f"Fold {number}" / "images" / f"fold{number}"
    np.save(folder / "images.npy", images.astype(np.float64))
    np.save(folder / "types.npy", np.array(TISSUES))
    np.save(root / f"Fold {number}" / "masks" / f"fold{number}" / "masks.npy", masks)
    return images, masks


def test_every_instance(forms, prepared, tmp_path: Path) -> None:
    folds = {number: write_fold(tmp_path, number, forms) for number in (1, 3)}
    images = prepared("pannuke", tmp_path)
    assert len(images) == 6
    for number, (pixels, masks) in folds.items():
        for index, tissue in enumerate(TISSUES):
            image = images[f"fold{number}_{tissue}_{index:04d}"]
            expected = set()
            for channel, name in enumerate(NAMES):
                expected |= forms.cells_of(masks[index, ..., channel], lambda _, name=name: name)
            assert image.cells == expected
            np.testing.assert_array_equal(image.rgb, pixels[index])
            assert (image.mpp, image.patient, image.part) == (0.25, None, "train")
    assert len(images["fold1_Breast_0000"].cells) >= 7
    assert len(images["fold1_Adrenal_gland_0001"].cells) == 0
    assert {name for name, _ in images["fold3_HeadNeck_0002"].cells} == {"dead", "epithelial"}


def test_one_fold_in_a_folder_of_any_name(forms, prepared, tmp_path: Path) -> None:
    write_fold(tmp_path, 2, forms)
    flat = tmp_path / "mine"
    flat.mkdir()
    for path in (tmp_path / "Fold 2").rglob("*.npy"):
        path.rename(flat / path.name)
    (flat / "types.npy").unlink()
    assert list(prepared("pannuke", flat)) == [f"fold_patch_{n:04d}" for n in range(3)]


def test_bad_folds(forms, refused, tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        write_fold(tmp_path, number, forms)
    paths = {n: tmp_path / f"Fold {n}" / "masks" / f"fold{n}" / "masks.npy" for n in (1, 2, 3, 4)}
    np.save(paths[1], np.zeros((3, 48, 48, 5)))
    broken = np.load(paths[2])
    broken[1, 3, 3, 2], broken[2, 0, 0, 0] = np.nan, -1
    np.save(paths[2], broken)
    paths[3].unlink()
    types = tmp_path / "Fold 4" / "images" / "fold4" / "types.npy"
    np.save(types, np.array([{}], object), allow_pickle=True)
    sentences = refused("pannuke", tmp_path)
    assert len(sentences) == 5
    for sentence, path, words in zip(
        sentences,
        (paths[1], paths[2], paths[2], tmp_path, types),
        (
            "of shape (3, 48, 48, 5), not 3 × 48 × 48 × 6",
            "patch 1 holds nan",
            "patch 2 holds -1.0",
            "fold3 has 1 images.npy and 0 masks.npy",
            "not a readable .npy file",
        ),
        strict=True,
    ):
        assert sentence.startswith(f"{path}: ")
        assert words in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory as Linux counts it")
def test_a_fold_of_8_gb_is_read_patch_by_patch(tmp_path: Path) -> None:
    # Sparse files of the size of fold 1; the first patches and the last are read.
    folder = tmp_path / "fold1"
    folder.mkdir()
    for name, channels in (("images", 3), ("masks", 6)):
        shape = (2656, 256, 256, channels)
        with (folder / f"{name}.npy").open("wb") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + 8 * int(np.prod(shape)))
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from cellseg_mm.preparation.formats import pannuke\n"
        "from cellseg_mm.preparation.formats.annotated_image import ReadOptions\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for n, image in zip(range(60), pannuke.read(Path(sys.argv[1]), ReadOptions())):\n"
        "    assert image.pixels().shape == (256, 256, 3)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100_000  # KiB
