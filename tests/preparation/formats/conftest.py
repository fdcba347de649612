"""From the files of a data set to what was prepared of them, decoded by other libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
from pycocotools import mask as coco_mask
from shapely.geometry import shape

from cellseg_mm.preparation.convert_dataset import ConvertOptions, convert_dataset
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.problems import InputError

Pixels = frozenset[tuple[int, int]]
"""(row, column) of the pixels of a cell."""

NamedCells = set[tuple[str, Pixels]]


@dataclass
class PreparedImage:
    """An image as it came out of convert.py and prepare.py."""

    part: str
    rgb: np.ndarray
    cells: NamedCells
    patient: str | None
    mpp: float | None


def pixels_of(mask: np.ndarray) -> Pixels:
    """The set of pixels of a (H, W) mask."""
    return frozenset(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def cells_of(labels: np.ndarray, name: Callable[[int], str]) -> NamedCells:
    """The cells of a label map, taken one id at a time."""
    return {(name(i), pixels_of(labels == i)) for i in np.unique(labels).tolist() if i}


def _prepared(raw: Path, out: Path) -> dict[str, PreparedImage]:
    prepare_dataset(PrepareOptions(raw, out, val_fraction=0))
    found = {}
    for part in ("train", "test"):
        path = out / "annotations" / f"{part}.json"
        dataset = json.loads(path.read_text()) if path.exists() else {"images": []}
        names = {category["id"]: category["name"] for category in dataset.get("categories", [])}
        for image in dataset["images"]:
            records = [r for r in dataset["annotations"] if r["image_id"] == image["id"]]
            name = Path(image["file_name"]).stem
            cells = [
                (names[r["category_id"]], pixels_of(coco_mask.decode(r["segmentation"])))
                for r in records
            ]
            assert len(set(cells)) == len(cells)
            rgb = cv2.imread(str(out / "images" / image["file_name"]))[..., ::-1]
            found[name] = PreparedImage(
                part, rgb, set(cells), image.get("patient"), image.get("mpp")
            )
    return found


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., dict[str, PreparedImage]]:
    """A function of a format, a source and further options of ConvertOptions."""

    def run(name: str, source: Path, **options: object) -> dict[str, PreparedImage]:
        raw = tmp_path / "raw"
        convert_dataset(ConvertOptions(name, source, raw, **options))
        return _prepared(raw, tmp_path / "prepared")

    return run


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., list[str]]:
    """A function of a format, a source and options: the sentences on it; nothing was written."""

    def run(name: str, source: Path, **options: object) -> list[str]:
        out = tmp_path / "out" / "raw"
        with pytest.raises(InputError) as caught:
            convert_dataset(ConvertOptions(name, source, out, **options))
        assert not out.parent.exists()
        sentences = [str(problem) for problem in caught.value.problems]
        assert not any("\n" in sentence for sentence in sentences)
        return sentences

    return run


@pytest.fixture
def refused_files(refused: Callable[..., list[str]]) -> Callable[..., None]:
    """A function of a format, a source and words by file name: each file is named, with words."""

    def check(name: str, source: Path, words: dict[str, str]) -> None:
        sentences = {Path(s.split(": ")[0]).name: s for s in refused(name, source)}
        assert sentences.keys() == words.keys()
        for file, text in words.items():
            assert text in sentences[file]

    return check


def odd_labels(seed: int, height: int, width: int) -> np.ndarray:
    """(H, W) ids with gaps: touching cells, one on each border, one of 1 px, one in two pieces."""
    labels = np.zeros((height, width), np.int32)
    labels[0:4, 3:9] = 7
    labels[4:8, 3:7] = 3  # touches 7, and its id is lower
    labels[height - 3 :, width - 5 :] = 40
    labels[10, 12] = 41
    labels[12:15, 2:5] = 900
    labels[12:15, 8:10] = 900
    rng = np.random.default_rng(seed)
    for number in (55, 56, 57):
        row, column = rng.integers(16, height - 8), rng.integers(0, width - 8)
        labels[row : row + 4, column : column + 5] = number
    return labels


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """(H, W, channels) uint8 of any values."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def inside(geometry: dict[str, Any], height: int, width: int) -> Pixels:
    """The pixels whose centres lie in a GeoJSON geometry, as shapely finds them."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return pixels_of(shapely.contains_xy(shape(geometry), columns, rows))


@pytest.fixture
def forms() -> SimpleNamespace:
    """What builds the files of a data set and decodes them."""
    return SimpleNamespace(
        pixels_of=pixels_of, cells_of=cells_of, odd_labels=odd_labels, noise=noise, inside=inside
    )
