"""The pyramid of the label map, as tifffile reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from cellseg_mm.inference.results import label_map_file
from cellseg_mm.inference.results.formats import result_cells, write_results
from cellseg_mm.inference.results.label_map_file import label_map_file as open_label_map
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells


def test_levels_hold_every_other_pixel_and_the_scale(
    random_cells: Callable, cut_up: Callable, make_image: Callable, tmp_path: Path
) -> None:
    height, width = 1501, 2305
    rng = np.random.default_rng(0)
    image = make_image(height, width, mpp=(0.25, 0.2))
    batches = cut_up(rng, random_cells(rng, 500, height, width), height)
    write_results(result_cells(batches, image), tmp_path, image, ["labels"])
    with tifffile.TiffFile(tmp_path / "slide 1_labels.ome.tif") as file:
        assert file.is_ome
        assert not file.is_bigtiff
        (series,) = file.series
        assert [level.shape for level in series.levels] == [(1501, 2305), (751, 1153), (376, 577)]
        full = series.asarray()
        assert full.dtype == np.uint32
        assert full.max() > 300
        np.testing.assert_array_equal(series.levels[1].asarray(), full[::2, ::2])
        np.testing.assert_array_equal(series.levels[2].asarray(), full[::4, ::4])
        assert len(file.pages) == 1  # the others are its SubIFDs
        page = file.pages[0]
        assert (page.tilewidth, page.tilelength) == (256, 256)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.get_resolution("micrometer") == pytest.approx((1 / 0.25, 1 / 0.2))
        pixels = next(
            e for e in ElementTree.fromstring(file.ome_metadata).iter() if "SizeX" in e.attrib
        )
    assert (pixels.get("SizeX"), pixels.get("SizeY"), pixels.get("Type")) == (
        "2305",
        "1501",
        "uint32",
    )
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeY")) == ("0.25", "0.2")
    assert pixels.get("PhysicalSizeXUnit") == "µm"


def test_rows_of_tiles_are_handed_on_as_soon_as_they_are_final(
    make_image: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = label_map_file.SparseCanvas.take_row
    monkeypatch.setattr(
        label_map_file.SparseCanvas, "take_row", lambda c, row: taken.append(row) or take(c, row)
    )
    cell = ResultCell(1, 0, 10, 250, np.ones((20, 20), bool), [], {})
    image = make_image(700, 300)
    with open_label_map(tmp_path / "l.ome.tif", image) as sink:
        for cells, final_rows, expected in (
            ([cell], 255, 0),
            ([], 256, 1),
            ([], 600, 2),
            ([], 700, 3),
        ):
            sink.add(ResultCells(cells, final_rows))
            assert len(taken) == expected
    labels = tifffile.imread(tmp_path / "l.ome.tif")
    assert labels.shape == (700, 300)
    assert labels[250:270, 10:30].all()
    assert labels.sum() == 400


def test_large_maps_are_bigtiffs(
    make_image: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_map_file, "_CLASSIC_BYTES", 100)
    with open_label_map(tmp_path / "l.ome.tif", make_image(70, 80)) as sink:
        sink.add(ResultCells([], 70))
    with tifffile.TiffFile(tmp_path / "l.ome.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].shape == (70, 80)
