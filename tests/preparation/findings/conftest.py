"""A clean data set to spoil."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset


def masks() -> dict[int, np.ndarray]:
    """A grid of 6 × 6 squares of 6 × 6 pixels, from (2, 2), 10 apart; every other is of class 2."""
    first, second = np.zeros((2, 64, 64), np.uint16)
    for number in range(36):
        row, column = divmod(number, 6)
        mask = second if number % 2 else first
        mask[2 + 10 * row :, 2 + 10 * column :][:6, :6] = number + 1
    return {1: first, 2: second}


def texture(seed: int, cells: np.ndarray) -> np.ndarray:
    """Tissue that differs from seed to seed as images do, with cells of a bluer tone; RGB."""
    rough = np.random.default_rng(seed).integers(0, 120, (16, 16, 1), np.uint8)
    tissue = cv2.resize(rough, (64, 64), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.where(cells[..., None], [60, 50, 110], [130, 90, 120]).astype(np.uint8) + tissue


class CleanSet:
    """A raw folder with eight images of 64 × 64 pixels, 36 cells each, and one test image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.masks = masks()
        cells = (self.masks[1] + self.masks[2]) > 0
        for index in range(8):
            self.add(f"image_{index}", texture(index, cells))
        (root / "test_release").mkdir()
        self.replace_test_image(texture(99, cells))

    def add(self, name: str, pixels: np.ndarray) -> None:
        """Add a training image with the cells of all others."""
        folder = self.root / "train" / name
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "image.tif", pixels, photometric="rgb", metadata=None)
        self.change(name, lambda masks: None)

    def change(self, name: str, change: Callable[[dict[int, np.ndarray]], object]) -> None:
        """Spoil the label maps of a training image."""
        changed = {number: mask.copy() for number, mask in self.masks.items()}
        change(changed)
        folder = self.root / "train" / name
        for path in folder.glob("class*.tif"):
            path.unlink()
        for number, mask in changed.items():
            tifffile.imwrite(folder / f"class{number}.tif", mask, photometric="minisblack")

    def pixels(self, name: str) -> np.ndarray:
        return tifffile.imread(self.root / "train" / name / "image.tif")

    def replace_test_image(self, pixels: np.ndarray) -> None:
        tifffile.imwrite(self.root / "test_release/test_0.tif", pixels, photometric="rgb")
        entries = [{"file_name": "test_0.tif", "id": 1}]
        (self.root / "test_image_name_to_ids.json").write_text(json.dumps(entries))

    def facts(self, **content: object) -> None:
        (self.root / "dataset.json").write_text(json.dumps(content))


@pytest.fixture
def clean(tmp_path: Path) -> CleanSet:
    """A data set in which no check finds anything."""
    return CleanSet(tmp_path / "clean")


@pytest.fixture
def audit(tmp_path: Path) -> Callable[..., dict]:
    """A function of a data set: its audit."""

    def run(data: CleanSet, **others: object) -> dict:
        chosen = {"classes": ("a", "b"), "val_fraction": 0.25, **others}
        return prepare_dataset(PrepareOptions(raw=data.root, out=tmp_path / "out", **chosen))

    return run
