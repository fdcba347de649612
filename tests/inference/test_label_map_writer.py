"""The streamed label map against the one that is painted at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellseg_mm.evaluation.label_map import label_map_from_predictions
from cellseg_mm.inference import label_map_writer
from cellseg_mm.inference.label_map_writer import write_label_map
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells, encode_cells


def random_cells(
    rng: np.random.Generator, count: int, height: int, width: int
) -> list[DetectedCell]:
    """Rectangles with holes, many of which overlap; scores repeat."""
    cells = []
    for _ in range(count):
        h, w = rng.integers(1, 30, 2)
        top, left = rng.integers(0, (height - h + 1, width - w + 1))
        bitmap = np.ones((h, w), bool)
        bitmap[1:-1, 1:-1] = rng.random(bitmap[1:-1, 1:-1].shape) < 0.8
        box = (float(left), float(top), float(left + w), float(top + h))
        score = float(rng.integers(1, 20)) / 20
        cells.append(DetectedCell(box, score, 0, int(left), int(top), bitmap))
    return cells


@pytest.mark.parametrize("seed", range(6))
def test_any_order_that_keeps_the_promise_gives_the_map_that_is_painted_at_once(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_map_writer, "_TILE", 16)
    rng = np.random.default_rng(seed)
    height, width = rng.integers(90, 200, 2).tolist()
    waiting = random_cells(rng, 150, height, width)
    batches = []
    for final_rows in [*sorted(rng.integers(0, height, 8).tolist()), height]:
        # All that has a pixel above the promised row, and some of the others.
        given = [c for c in waiting if c.top < final_rows or rng.random() < 0.1]
        waiting = [c for c in waiting if not any(c is other for other in given)]
        batches.append(FoundCells(given, final_rows))
    cells = [cell for batch in batches for cell in batch.cells]
    assert len(cells) == 150

    write_label_map(tmp_path / "labels.tif", height, width, batches)
    expected = label_map_from_predictions(
        encode_cells(cells, height, width), [cell.score for cell in cells], height, width
    )
    written = tifffile.imread(tmp_path / "labels.tif")
    assert written.dtype == np.uint32
    np.testing.assert_array_equal(written, expected)


def test_strips_are_written_as_soon_as_they_are_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_map_writer, "_TILE", 16)
    drawn = []

    def batches():  # type: ignore[no-untyped-def]
        for final_rows in (0, 40, 40, 80, 100):
            drawn.append(final_rows)
            yield FoundCells([], final_rows)

    strips = label_map_writer._strips(100, 30, batches())
    heights = [(len(strip), len(drawn)) for strip in strips]
    assert heights == [(16, 2)] * 2 + [(16, 4)] * 3 + [(16, 5), (4, 5)]


def test_an_image_without_cells(tmp_path: Path) -> None:
    write_label_map(tmp_path / "labels.tif", 300, 7, [FoundCells([], 300)])
    written = tifffile.imread(tmp_path / "labels.tif")
    assert written.shape == (300, 7)
    assert not written.any()


def test_a_large_map_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, big in ((4 * 70 * 80, False), (4 * 70 * 80 - 1, True)):
        monkeypatch.setattr(label_map_writer, "_CLASSIC_BYTES", limit)
        write_label_map(tmp_path / "labels.tif", 70, 80, [FoundCells([], 70)])
        with tifffile.TiffFile(tmp_path / "labels.tif") as file:
            assert file.is_bigtiff == big
            assert file.pages[0].is_tiled
