"""The table's columns against scikit-image, shapely and stains that are known."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, sqrt

import numpy as np
import pytest
import shapely
from skimage.measure import regionprops

from cellseg_mm.inference.results.cell_bitmaps import whole_cell
from cellseg_mm.inference.results.measurements import (
    measure_cell,
    measure_cells,
    stain_density,
    table_columns,
)
from cellseg_mm.inference.results.polygon import polygon
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells

PROBABILITIES = (0.7, 0.2, 0.1)


def test_shapes_against_scikit_image_and_shapely(
    random_mask: Callable[[np.random.Generator], np.ndarray], make_image: Callable
) -> None:
    rng = np.random.default_rng(3)
    image = make_image(100, 100, mpp=(0.25, 0.16))
    for number in range(1, 301):
        cell = whole_cell(
            DetectedCell((0, 0, 1, 1), 0.91234, 1, 40, 20, random_mask(rng), PROBABILITIES)
        )
        row = measure_cell(number, cell, (0.5, 0.25), image).row
        assert list(row) == list(table_columns(image.classes))
        (region,) = regionprops(np.pad(cell.bitmap, 1).astype(np.uint8))
        y, x = region.centroid
        px = {
            "x_px": x - 1 + cell.left + 0.5,
            "y_px": y - 1 + cell.top + 0.5,
            "area_px": region.area,
            "perimeter_px": region.perimeter,
            "major_axis_px": region.axis_major_length,
            "minor_axis_px": region.axis_minor_length,
        }
        for name, value in px.items():
            assert row[name] == pytest.approx(value, abs=0.006), name
        assert row["eccentricity"] == pytest.approx(region.eccentricity, abs=1e-3)
        outline = shapely.Polygon(polygon(cell.bitmap, 0, 0)[0])
        assert row["solidity"] == pytest.approx(outline.area / outline.convex_hull.area, abs=6e-5)
        if region.area > 150:  # scikit-image's hull runs through the middles of the pixels' edges
            assert row["solidity"] == pytest.approx(region.solidity, abs=0.06)
        assert row["x_um"] == pytest.approx(px["x_px"] * 0.25, abs=0.001)
        assert row["y_um"] == pytest.approx(px["y_px"] * 0.16, abs=0.001)
        assert row["area_um2"] == pytest.approx(region.area * 0.04, abs=0.001)
        for name in ("perimeter", "major_axis", "minor_axis"):
            assert row[f"{name}_um"] == pytest.approx(px[f"{name}_px"] * 0.2, abs=0.001)
    assert row["id"] == 300
    assert (row["class"], row["score"]) == ("epithelial", 0.9123)
    assert [row[f"probability_{name}"] for name in image.classes] == list(PROBABILITIES)


def test_without_a_scale_micrometres_are_unknown(make_image: Callable) -> None:
    cell = DetectedCell((0, 0, 1, 1), 0.9, 0, 2, 3, np.ones((4, 4), bool), PROBABILITIES)
    row = measure_cell(1, cell, (0.5, 0.25), make_image(10, 10, mpp=None)).row
    unknown = {name for name, value in row.items() if isinstance(value, float) and isnan(value)}
    assert unknown == {name for name in row if name.endswith(("_um", "_um2"))}
    assert len(unknown) == 6
    assert (row["x_px"], row["y_px"], row["area_px"]) == (4.0, 5.0, 16)


@pytest.mark.parametrize(
    ("haematoxylin", "eosin"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.6), (0.5, 0.3)]
)
def test_stains_that_are_known(haematoxylin: float, eosin: float) -> None:
    # Ruifrok and Johnston: how much of red, green and blue a unit of each stain takes away.
    h = np.array([0.65, 0.70, 0.29]) / sqrt(0.65**2 + 0.70**2 + 0.29**2)
    e = np.array([0.07, 0.99, 0.11]) / sqrt(0.07**2 + 0.99**2 + 0.11**2)
    colour = 255 * 10 ** -(haematoxylin * h + eosin * e)
    pixels = np.repeat(np.rint(colour).astype(np.uint8)[:, None], 5, axis=1)
    assert stain_density(pixels) == pytest.approx((haematoxylin, eosin), abs=0.01)


def test_the_stain_is_that_of_the_cells_own_pixels(make_image: Callable) -> None:
    image = make_image(1200, 1100)
    pixels = image.source.read(0, 0, 1100, 1200).numpy()
    rng = np.random.default_rng(0)
    cells = []
    for left, top in rng.integers(0, 1080, (50, 2)).tolist():
        bitmap = np.ones((20, 20), bool)
        bitmap[:5, :5] = False
        cells.append(DetectedCell((0, 0, 1, 1), 0.9, 0, left, top, bitmap, PROBABILITIES))
    (batch,) = measure_cells([FoundCells(cells, 1200)], image)
    for cell, found in zip(cells, batch.cells, strict=True):
        window = pixels[:, cell.top : cell.top + 20, cell.left : cell.left + 20]
        expected = stain_density(window[:, cell.bitmap])
        assert found.row["haematoxylin_od"] == round(expected[0], 4)
        assert found.row["eosin_od"] == round(expected[1], 4)
