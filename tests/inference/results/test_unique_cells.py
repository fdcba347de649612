"""Which cells there are, against the label map that is painted at once."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

import cv2
import numpy as np
import pytest
from scipy import ndimage

from cellseg_mm.evaluation.label_map import paint_label_map
from cellseg_mm.inference.results.cell_bitmaps import whole_cell
from cellseg_mm.inference.results.unique_cells import at_full_resolution, unique_cells
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells, encode_cells


def paint(cells: list[DetectedCell], height: int, width: int) -> np.ndarray:
    """A label map of cells that share no pixel, numbered in their order."""
    labels = np.zeros((height, width), np.int32)
    for number, cell in enumerate(cells, start=1):
        x1, y1, x2, y2 = cell.extent
        window = labels[y1:y2, x1:x2]
        assert not window[cell.bitmap].any()
        window[cell.bitmap] = number
    return labels


def by_first_pixel(labels: np.ndarray) -> np.ndarray:
    """Number a label map anew, in the order of the cells' first pixels by rows."""
    ids, first = np.unique(labels, return_index=True)
    order = np.zeros(labels.max() + 1, np.int32)
    ids, first = ids[ids > 0], first[ids > 0]
    order[ids[first.argsort()]] = np.arange(1, len(ids) + 1)
    return order[labels]


def painted_at_once(cells: list[DetectedCell], height: int, width: int) -> np.ndarray:
    """The same by the RLE path; then the largest piece of each cell."""
    cells = sorted(map(whole_cell, cells), key=lambda c: (c.top, c.left, c.label))
    labels = paint_label_map(
        encode_cells(cells, height, width).runs, [cell.score for cell in cells]
    )
    for number in np.unique(labels[labels > 0]):
        pieces, count = ndimage.label(labels == number)
        sizes = ndimage.sum_labels(labels == number, pieces, range(1, count + 1))
        labels[(pieces > 0) & (pieces != 1 + sizes.argmax())] = 0
    return by_first_pixel(labels)


@pytest.mark.parametrize("seed", range(8))
def test_any_stream_gives_the_map_that_is_painted_at_once(
    seed: int, random_cells: Callable, cut_up: Callable
) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(90, 400, 2).tolist()
    cells = random_cells(rng, 200, height, width)
    found, promised = [], 0
    for batch in unique_cells(cut_up(rng, cells, height), 3):
        assert batch.final_rows >= promised
        assert all(cell.top >= promised for cell in batch.cells)
        promised = batch.final_rows
        found += batch.cells
    assert promised == height
    expected = painted_at_once(cells, height, width)
    assert 50 < expected.max() < 200
    np.testing.assert_array_equal(paint(found, height, width), expected)


def test_discs_apart_or_overlapping_are_exactly_the_rle_path() -> None:
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(400):
        side = int(rng.integers(12, 24))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(bool)
        left, top = rng.integers(0, 600 - side, 2).tolist()
        cells.append(DetectedCell((0, 0, 1, 1), float(rng.random()), 0, left, top, disc))
    scores = [cell.score for cell in cells]
    expected = paint_label_map(encode_cells(cells, 600, 600).runs, scores)
    found = [c for batch in unique_cells([FoundCells(cells, 600)], 3) for c in batch.cells]
    assert len(found) == len(np.unique(expected)) - 1 < 400
    labels = paint(found, 600, 600)
    whole = [n for n in range(1, 401) if ndimage.label(expected == n)[1] == 1]
    assert len(whole) > 200
    expected = np.where(np.isin(expected, whole), expected, 0)
    pairs = np.unique(np.stack([expected, labels]).reshape(2, -1)[:, expected.ravel() > 0], axis=1)
    assert len(pairs.T) == len(set(pairs[0])) == len(set(pairs[1])) == len(whole)


def disc(left: int, label: int, score: float, probabilities: tuple = ()) -> DetectedCell:
    bitmap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (20, 20)).astype(bool)
    return DetectedCell((0, 0, 1, 1), score, label, left, 5, bitmap, probabilities)


def test_a_nucleus_of_two_classes_is_one_cell_of_the_better_score() -> None:
    batches = [FoundCells([disc(5, 0, 0.6), disc(6, 2, 0.9), disc(40, 1, 0.7)], 100)]
    (batch,) = unique_cells(batches, 3)
    assert [(c.label, c.score) for c in batch.cells] == [(2, 0.9), (1, 0.7)]
    assert batch.cells[0].probabilities[0] == 0.6
    assert isnan(batch.cells[0].probabilities[1])
    assert batch.cells[0].probabilities[2] == 0.9
    assert isnan(batch.cells[1].probabilities[0])


def test_the_models_own_probabilities_are_kept() -> None:
    cells = [disc(5, 0, 0.6, (0.6, 0.1, 0.3)), disc(6, 2, 0.9, (0.05, 0.05, 0.9))]
    (batch,) = unique_cells([FoundCells(cells, 100)], 3)
    assert [c.probabilities for c in batch.cells] == [(0.05, 0.05, 0.9)]


def test_the_other_class_is_told_even_if_it_comes_later() -> None:
    batches = [FoundCells([disc(5, 2, 0.9)], 22), FoundCells([disc(6, 0, 0.6)], 100)]
    assert [len(b.cells) for b in unique_cells([*batches], 3)] == [0, 1]
    assert list(unique_cells([*batches], 3))[1].cells[0].probabilities[0] == 0.6


def test_a_cell_cut_in_two_keeps_its_larger_piece() -> None:
    bar = DetectedCell((0, 0, 1, 1), 0.5, 0, 0, 10, np.ones((4, 30), bool))
    across = DetectedCell((0, 0, 1, 1), 0.9, 1, 10, 0, np.ones((30, 4), bool))
    (batch,) = unique_cells([FoundCells([bar, across], 50)], 2)
    assert [(c.label, c.extent) for c in batch.cells] == [
        (1, (10, 0, 14, 30)),
        (0, (14, 10, 30, 14)),
    ]


def test_other_resolutions() -> None:
    bar = DetectedCell((5, 5, 25, 25), 0.9, 0, 5, 5, np.ones((20, 20), bool))
    batches = [FoundCells([bar], 26), FoundCells([], 50)]
    first, *_, last = at_full_resolution(batches, 2.0, 2.04, 200, 102)
    assert 26 * 2.04 - 2 < first.final_rows <= 26 * 2.04
    assert last == ([], 102)
    assert first.cells[0].extent == (10, 10, 50, 51)
