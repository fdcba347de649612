"""A small raw data set to damage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile


class RawFolder:
    """Builds a raw folder with tifffile alone, so that nothing rests on the code under test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.test_list: list[dict[str, object]] = []
        (root / "train").mkdir(parents=True)

    def add_train(self, name: str, pixels: np.ndarray, masks: Mapping[int, np.ndarray]) -> Path:
        folder = self.root / "train" / name
        folder.mkdir()
        tifffile.imwrite(folder / "image.tif", pixels, photometric="rgb", metadata=None)
        self._masks(folder, masks)
        return folder

    def add_test(
        self, name: str, pixels: np.ndarray, masks: Mapping[int, np.ndarray] | None = None
    ) -> None:
        release = self.root / "test_release"
        release.mkdir(exist_ok=True)
        tifffile.imwrite(release / f"{name}.tif", pixels, photometric="rgb", metadata=None)
        if masks is not None:
            folder = self.root / "test_gt" / name
            folder.mkdir(parents=True)
            self._masks(folder, masks)
        number = len(self.test_list) + 1
        height, width = pixels.shape[:2]
        self.test_list.append(
            {"file_name": f"{name}.tif", "id": number, "height": height, "width": width}
        )
        self.write_list(self.test_list)

    def write_list(self, entries: object) -> None:
        path = self.root / "test_image_name_to_ids.json"
        path.write_text(json.dumps(entries), encoding="utf-8")

    @staticmethod
    def _masks(folder: Path, masks: Mapping[int, np.ndarray]) -> None:
        for number, mask in masks.items():
            tifffile.imwrite(folder / f"class{number}.tif", mask, photometric="minisblack")


def tissue(cells: np.ndarray, seed: int = 0, order: str = "rgb", alpha: bool = False) -> np.ndarray:
    """Pink tissue with blue cells, (H, W, 3 or 4) uint8."""
    noise = np.random.default_rng(seed).integers(0, 20, (*cells.shape, 3))
    pixels = np.where(cells[..., None], [90, 70, 150], [210, 150, 190]) + noise
    pixels = pixels.astype(np.uint8)
    if order == "bgr":
        pixels = pixels[..., ::-1]
    if alpha:
        pixels = np.dstack((pixels, np.full(cells.shape, 255, np.uint8)))
    return np.ascontiguousarray(pixels)


@pytest.fixture
def make_tissue():
    return tissue


@pytest.fixture
def raw(tmp_path: Path) -> RawFolder:
    """An empty raw folder."""
    return RawFolder(tmp_path / "raw")


@pytest.fixture
def raw_set(raw: RawFolder) -> RawFolder:
    """Six train images, two test images with truth; classes 1 and 2, 12 × 10 pixels."""
    for index in range(6):
        first, second = np.zeros((12, 10), np.float64), np.zeros((12, 10), np.uint16)
        first[1:4, 1:5] = 7 + index
        first[8:10, 2:4] = 30
        second[6:8, 6:9] = 12
        pixels = tissue((first + second) > 0, index)
        raw.add_train(f"image_{index}", pixels, {1: first, 2: second})
    for index in range(2):
        mask = np.zeros((12, 10), np.uint8)
        mask[2:5, 3 + index :] = 5
        raw.add_test(f"test_{index}", tissue(mask > 0, 50 + index), {2: mask})
    return raw
