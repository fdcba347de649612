"""What the overlay shows of cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellseg_mm.inference.results import result_image
from cellseg_mm.inference.results.overlay_file import Overlay
from cellseg_mm.inference.results.overlay_file import overlay_file as open_overlay
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells


def square(number: int, label: int, left: int, top: int, side: int = 20) -> ResultCell:
    return ResultCell(number, label, left, top, np.ones((side, side), bool), [], {})


def test_lines_lie_on_the_cells_rim_and_darken_what_is_beside(make_image: Callable) -> None:
    image = make_image(60, 80)
    before = image.source.read(0, 0, 80, 60).permute(1, 2, 0).numpy()
    overlay = Overlay(image)
    overlay.add(ResultCells([square(1, 1, 10, 20)], 60))
    picture = overlay.picture()
    assert picture.shape == (60, 80, 3)
    rim = np.zeros((60, 80), bool)
    rim[20:40, 10:30] = True
    rim[21:39, 11:29] = False
    assert len(np.unique(picture[rim], axis=0)) == 1
    beside = np.zeros((60, 80), bool)
    beside[19:41, 9:31] = True
    beside[22:38, 12:28] = False
    beside &= ~rim
    np.testing.assert_array_equal(picture[beside], (before[beside] * 0.35).astype(np.uint8))
    elsewhere = ~(rim | beside)
    np.testing.assert_array_equal(picture[elsewhere], before[elsewhere])


def test_classes_have_colours_of_their_own_which_the_legend_explains(make_image: Callable) -> None:
    overlay = Overlay(make_image(60, 400))
    overlay.add(ResultCells([square(1, 0, 10, 20), square(2, 1, 60, 20), square(3, 1, 90, 5)], 60))
    picture, legend = overlay.picture(), overlay.legend()
    first, second, third = picture[20, 10], picture[20, 60], picture[5, 90]
    assert (first != second).any()
    np.testing.assert_array_equal(second, third)
    assert legend.shape[1] == 400
    for colour in (first, second):
        assert (legend == colour).all(axis=2).sum() > 50


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_large_images_become_thumbnails(
    name: str, make_image: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_image, "LONGEST_SIDE", 100)
    image = make_image(310, 400)
    with open_overlay(tmp_path / name, image) as sink:
        sink.add(ResultCells([square(1, 0, 80, 80, side=80), square(2, 1, 201, 30, side=1)], 310))
    with Image.open(tmp_path / name) as picture:
        assert picture.format == ("PNG" if name == "a.png" else "JPEG")
        width, height = picture.size
        assert (width, height > 78) == (100, True)
        pixels = np.asarray(picture)
    if name == "a.jpg":
        return
    red = (np.abs(pixels[:78].astype(int) - (238, 138, 119)) < 30).all(axis=2)  # noise is never so
    rows, columns = np.nonzero(red)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 39, 20, 39)
