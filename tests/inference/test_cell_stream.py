"""Tiles are read ahead, looked at in batches, left out where nothing is, and brought together."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from cellseg_mm.inference.cell_stream import count_tiles, stream_cells
from cellseg_mm.models.test_time.seams import DetectedCell


class Image:
    """Red holds the ids of the cells."""

    def __init__(self, ids: np.ndarray) -> None:
        self.height, self.width = ids.shape
        self.threads: set[str] = set()
        self.regions: list[tuple[int, int, int, int]] = []
        self._ids = torch.from_numpy(ids.astype(np.uint8))

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        self.threads.add(threading.current_thread().name)
        self.regions.append((x1, y1, x2, y2))
        return self._ids[y1:y2, x1:x2].expand(3, -1, -1)


@pytest.fixture
def image() -> Image:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((150, 200)), 3)
    return Image(ndimage.label(noise > 0.08)[0])


def truth_of(region: Tensor) -> list[DetectedCell]:
    ids = region[0].numpy()
    cells = []
    for value in np.unique(ids[ids > 0]):
        rows, columns = np.nonzero(ids == value)
        y, x = rows.min(), columns.min()
        bitmap = ids[y : rows.max() + 1, x : columns.max() + 1] == value
        box = (float(x), float(y), float(columns.max() + 1), float(rows.max() + 1))
        cells.append(DetectedCell(box, 0.9, int(value) % 3, int(x), int(y), bitmap))
    return cells


def painted(cells: Sequence[DetectedCell], image: Image) -> np.ndarray:
    canvas = np.zeros((image.height, image.width), int)
    for number, cell in enumerate(cells, start=1):
        x1, y1, x2, y2 = cell.extent
        assert not (canvas[y1:y2, x1:x2] * cell.bitmap).any()
        canvas[y1:y2, x1:x2] += number * cell.bitmap
    return canvas


@pytest.mark.parametrize("batch", [1, 3])
def test_the_truth_of_tiles_is_the_truth(image: Image, batch: int) -> None:
    sizes = []

    def find(regions: Sequence[Tensor]) -> list[list[DetectedCell]]:
        sizes.append(len(regions))
        return [truth_of(region) for region in regions]

    batches = list(stream_cells(image, find, 64, 16, batch))
    cells = [cell for found, _ in batches for cell in found]
    canvas = painted(cells, image)
    truth = image._ids.numpy()
    assert np.array_equal(canvas > 0, truth > 0)
    pairs = np.unique(np.stack([canvas.ravel(), truth.ravel()]), axis=1)
    assert pairs.shape[1] == len(cells) + 1 == truth.max() + 1
    assert batches[-1].final_rows == image.height
    assert all(cell.box[0] == cell.left and cell.box[3] == cell.extent[3] for cell in cells)
    # 200 and 150 pixels with tiles of at most 64 that share 16: four rows, three columns.
    assert len(batches) == sum(sizes) == 12
    assert max(sizes) == batch
    assert image.threads.isdisjoint({threading.current_thread().name})


def test_only_what_is_touched_is_read(image: Image) -> None:
    def touches(x1: int, y1: int, x2: int, y2: int) -> bool:
        return x1 < 40 and y1 < 40

    calls = []

    def find(regions: Sequence[Tensor]) -> list[list[DetectedCell]]:
        calls.append(len(regions))
        return [truth_of(region) for region in regions]

    cells = [c for found, _ in stream_cells(image, find, 64, 16, 2, touches) for c in found]
    assert image.regions == [(0, 0, 62, 61)]
    assert calls == [1]
    assert count_tiles(image, 64, 16, touches) == 1
    assert sorted(cell.area for cell in cells) == sorted(
        cell.area for cell in truth_of(image.read(0, 0, 62, 61))
    )


def test_errors_of_reading_and_of_the_model_come_through(image: Image) -> None:
    def broken(x1: int, y1: int, x2: int, y2: int) -> Tensor:
        if y1:
            raise ValueError("damaged")
        return torch.zeros(3, y2 - y1, x2 - x1)

    image.read = broken  # type: ignore[method-assign]
    stream = stream_cells(image, lambda regions: [[] for _ in regions], 64, 16)
    assert [next(stream).cells for _ in range(4)] == [[]] * 4
    with pytest.raises(ValueError, match="damaged"):
        list(stream)

    def find(regions: Sequence[Tensor]) -> list[list[DetectedCell]]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        next(stream_cells(image, find, 64, 16))
    before = threading.active_count()
    stream = stream_cells(image, lambda regions: [[] for _ in regions], 64, 16)
    next(stream)
    stream.close()
    assert threading.active_count() <= before
