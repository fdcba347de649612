"""From an image to its cells in three lines."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shapely import box

from cellseg_mm import CellSegmenter
from cellseg_mm.errors import UserError
from cellseg_mm.inference import cell_segmenter
from cellseg_mm.inference.region_of_interest import RegionOfInterest
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import ModelBundle


@pytest.fixture(scope="module")
def segmenter(bundle: ModelBundle) -> CellSegmenter:
    return CellSegmenter(bundle, device="cpu")


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return synthesize_image(np.random.default_rng(0), 100, 120, 20).rgb


def test_files_arrays_and_pictures_give_the_same(
    segmenter: CellSegmenter, rgb: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "field.png"
    Image.fromarray(rgb).save(path)
    found = segmenter.segment(path, mpp=0.25)
    assert (found.labels > 0).any()
    assert found.labels.shape == (100, 120)
    assert set(found.table["class"]) <= set(segmenter.classes)
    assert found.image.name == "field"
    assert found.image.warnings == []
    for same in (segmenter.segment(rgb, 0.25), segmenter.segment(Image.fromarray(rgb), 0.25)):
        assert np.array_equal(same.labels, found.labels)


def test_an_unknown_scale_is_the_models_and_is_said(
    segmenter: CellSegmenter, rgb: np.ndarray
) -> None:
    found = segmenter.segment(rgb)
    assert np.array_equal(found.labels, segmenter.segment(rgb, 0.25).labels)
    (warning,) = found.image.warnings
    assert "does not say how large its pixels are; they were taken as 0.25" in warning


def test_results_of_another_scale_are_in_the_images_pixels(
    segmenter: CellSegmenter, rgb: np.ndarray
) -> None:
    twice = rgb.repeat(2, axis=0).repeat(2, axis=1)
    found = segmenter.segment(twice, mpp=0.125)
    assert found.labels.shape == (200, 240)
    with segmenter.open(twice, mpp=0.125) as job:
        assert (job.tiles, job.analysed_pixels) == (1, 200 * 240)
    # The view is what the model sees: 100 × 120 pixels.
    expected = segmenter.segment(rgb, mpp=0.25)
    assert len(found.cells) == pytest.approx(len(expected.cells), rel=0.5)


def test_tiles_are_reported_and_those_outside_of_polygons_left_out(
    segmenter: CellSegmenter, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_segmenter, "TILE", 64)
    monkeypatch.setattr(cell_segmenter, "OVERLAP", 32)
    seen = []
    with segmenter.open(rgb, mpp=0.25) as job:
        cells = [c for batch in job.cells(on_tile=lambda: seen.append(1)) for c in batch.cells]
        # 120 and 100 pixels: starts at 0, 29, 58 and at 0, 22, 45.
        assert job.tiles == len(seen) == 9
    polygons = RegionOfInterest([box(0, 0, 28, 20)], "roi")
    with segmenter.open(rgb, mpp=0.25, roi=polygons) as job:
        assert (job.tiles, job.analysed_pixels) == (1, 560)
        inside = [c for batch in job.cells() for c in batch.cells]
    # Better cells may leave of one only a piece, whose centre is another.
    assert sum(c.row["x_px"] < 35 and c.row["y_px"] < 25 for c in inside) >= len(inside) - 1 > 0
    assert len(inside) < len(cells)


def test_threads_take_turns(segmenter: CellSegmenter, rgb: np.ndarray) -> None:
    expected = segmenter.segment(rgb, 0.25).labels
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(segmenter.segment(rgb, 0.25).labels))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(np.array_equal(labels, expected) for labels in found)


def test_bad_arguments_are_one_sentence(segmenter: CellSegmenter, rgb: np.ndarray) -> None:
    with pytest.raises(UserError, match="least score is 50"):
        segmenter.segment(rgb, min_score=50)
    with pytest.raises(UserError, match="array of uint8"):
        segmenter.segment(rgb / 255)
    with pytest.raises(UserError, match="must lie between"):
        segmenter.segment(rgb, mpp=25)
    with pytest.raises(UserError, match="no model he-x"):
        CellSegmenter("he-x")


def test_importing_the_package_stays_light() -> None:
    code = (
        "import sys, cellseg_mm; assert not hasattr(cellseg_mm, 'Segmenter'); "
        "assert 'torch' not in sys.modules and 'mmdet' not in sys.modules"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=300)


def test_tiles_at_the_cap_are_said(
    bundle: ModelBundle, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_segmenter, "TILE", 64)
    monkeypatch.setattr(cell_segmenter, "OVERLAP", 32)
    model = copy.deepcopy(bundle.model)
    model.test_cfg.rcnn.max_per_img = 2
    capped = CellSegmenter(dataclasses.replace(bundle, model=model), device="cpu")
    with capped.open(rgb, mpp=0.25) as job:
        cells = sum(len(batch.cells) for batch in job.cells())
        (warning,) = job.image.warnings
        full = int(warning.split(" of ")[0])
        assert 0 < full <= job.tiles
        assert 0 < cells <= 4 * job.tiles
    assert f"of {job.tiles} tiles hold 4 cells, the most" in warning


@pytest.mark.parametrize(("least", "widths"), [(0.5, []), (0.4, [24]), (0.65, [])])
def test_scores_are_cut_where_a_cell_is_whole(
    segmenter: CellSegmenter, monkeypatch: pytest.MonkeyPatch, least: float, widths: list[int]
) -> None:
    """The first tile sees 14 of 24 columns of a cell and is sure of it; the second sees all."""

    class Finder:
        max_per_region = 100

        def min_scores(self, min_score: float) -> torch.Tensor:
            return torch.full((4,), min_score)

        def __call__(
            self, regions: Sequence[torch.Tensor], min_score: float, margin: int
        ) -> list[list[DetectedCell]]:
            (region,) = regions
            columns = np.flatnonzero(region[0, 30] == 0)
            left, width = int(columns[0]), len(columns)
            score = 0.6 if width < 24 else 0.45
            if score < min_score * (0.5 if margin else 1):
                return [[]]
            box_ = (float(left), 25.0, float(left + width), 40.0)
            return [[DetectedCell(box_, score, 0, left, 25, np.ones((15, width), bool))]]

    monkeypatch.setattr(cell_segmenter, "TILE", 64)
    monkeypatch.setattr(cell_segmenter, "OVERLAP", 32)
    monkeypatch.setattr(segmenter, "_find", Finder())
    pixels = np.full((64, 96, 3), 255, np.uint8)
    pixels[25:40, 50:74] = 0
    found = segmenter.segment(pixels, mpp=0.25, min_score=least)
    assert [cell.bitmap.shape[1] for cell in found.cells] == widths
