"""Overlay pictures: scale, panels, colours."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_mm.structures.planes import InstanceCrop
from cellseg_mm.visualization.overlay_picture import (
    Panel,
    overlay_picture,
    picture_scale,
    resize_picture,
)

RED, BLUE = (230, 10, 20), (15, 25, 240)


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [
        (33, 86, 14),
        (374, 464, 3),
        (600, 400, 2),
        (1199, 1, 2),
        (1200, 1200, 1),
        (2000, 10, 1),
        (2500, 735, 0.8),
        (10, 40000, 0.05),
    ],
)
def test_small_images_are_enlarged_and_large_ones_reduced(
    height: int, width: int, scale: float
) -> None:
    assert picture_scale(height, width) == pytest.approx(scale)


def test_resizing_never_loses_a_side() -> None:
    assert resize_picture(np.zeros((10, 40000, 3), np.uint8), 0.05).shape == (1, 2000, 3)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def test_panels_lie_side_by_side_with_the_colours_of_their_cells() -> None:
    cell = InstanceCrop(1, 300, 400, np.ones((100, 200), bool))
    truth = Panel("Truth", [cell], np.array([0]))
    prediction = Panel("Prediction", [cell], np.array([1]))
    empty = Panel("Nothing", [], np.zeros(0, int))
    image = np.full((1200, 1200, 3), 200, np.uint8)
    draw = [
        overlay_picture(image, [panel], ("a", "b"), [RED, BLUE])
        for panel in (truth, prediction, empty)
    ]
    rim = 100 * 200 - 96 * 196  # two pixels wide
    assert count(draw[0], RED) - count(draw[2], RED) == rim
    assert count(draw[0], BLUE) == count(draw[2], BLUE) > 0  # the legend
    assert count(draw[1], BLUE) - count(draw[2], BLUE) == rim
    both = overlay_picture(image, [truth, prediction], ("a", "b"), [RED, BLUE])
    np.testing.assert_array_equal(both, np.concatenate(draw[:2], axis=1))


def test_more_classes_than_colours_and_a_narrow_image_make_a_taller_legend() -> None:
    image = np.zeros((1200, 20, 3), np.uint8)
    panel = Panel("Truth", [], np.zeros(0, int))
    one = overlay_picture(image, [panel], ("epithelial",), [RED])
    many = overlay_picture(image, [panel], ("epithelial",) * 12, [RED, BLUE])
    assert many.shape[1] == one.shape[1]
    assert many.shape[0] > one.shape[0]
