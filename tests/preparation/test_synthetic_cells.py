from __future__ import annotations

import numpy as np
import pytest

from cellseg_mm.preparation.synthetic_cells import synthesize_image


def test_same_seed_same_image() -> None:
    first, second = (synthesize_image(np.random.default_rng(5), 96, 120, 15) for _ in range(2))
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.label_maps(), second.label_maps())
    other = synthesize_image(np.random.default_rng(6), 96, 120, 15)
    assert (first.rgb != other.rgb).any()


def test_cells_and_label_maps_agree() -> None:
    image = synthesize_image(np.random.default_rng(1), 150, 200, 40)
    maps = image.label_maps(first_id=7)
    assert image.rgb.shape == (150, 200, 3)
    assert maps.shape == (4, 150, 200)
    assert np.unique(maps[maps > 0]).tolist() == list(range(7, 7 + len(image.cells)))
    # Ids run through the classes in order, and within a class no cell hides another.
    assert [cell.class_id for cell in image.cells] == sorted(c.class_id for c in image.cells)
    for number, (class_id, crop) in enumerate(image.cells, start=1):
        assert crop.instance_id == number
        own = maps == number + 6
        assert own.any(axis=(1, 2)).nonzero()[0].tolist() == [class_id - 1]
        rows, columns = own.any(axis=(0, 2)).nonzero()[0], own.any(axis=(0, 1)).nonzero()[0]
        assert (rows[0], columns[0]) == (crop.top, crop.left)
        assert (rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]) == crop.bitmap.shape
        assert own.sum() == crop.bitmap.sum() >= 20


def test_images_look_like_h_and_e() -> None:
    """Nuclei are dark and bluer than the pink around them; macrophages are pale and large."""
    median: dict[int, list[float]] = {0: [], 1: [], 2: [], 3: [], 4: []}
    bluer = {0: [], 1: [], 2: []}
    sides: dict[int, list[float]] = {1: [], 2: [], 3: [], 4: []}
    for seed in range(12):
        image = synthesize_image(np.random.default_rng(seed), 256, 256, 40)
        maps = image.label_maps()
        rgb = image.rgb.astype(float)
        for class_id in range(5):
            where = maps[class_id - 1] > 0 if class_id else ~(maps > 0).any(0)
            if where.any():
                median[class_id].append(float(np.median(rgb[where].mean(1))))
                if class_id < 3:
                    bluer[class_id].append(float(np.mean(rgb[where, 2] - rgb[where, 0])))
        for class_id, crop in image.cells:
            sides[class_id].append(float(np.sqrt(np.prod(crop.bitmap.shape))))
    grey = {class_id: np.mean(values) for class_id, values in median.items()}
    assert grey[2] < grey[1] - 15 < grey[4] - 30 < grey[0]
    assert np.mean(bluer[0]) < -10 < 10 < min(np.mean(bluer[1]), np.mean(bluer[2]))
    typical = {class_id: np.median(values) for class_id, values in sides.items()}
    assert typical[2] < typical[3] < typical[4]
    assert typical[2] < typical[1] < typical[4]
    assert 20 <= np.median(np.concatenate(list(sides.values()))) <= 26
    assert min(len(sides[1]), len(sides[2])) > 3 * max(len(sides[3]), len(sides[4]))


def test_some_cells_touch_and_some_classes_overlap_by_a_few_pixels() -> None:
    touching = overlapping = 0
    for seed in range(12):
        maps = synthesize_image(np.random.default_rng(seed), 200, 200, 40).label_maps()
        covered = (maps > 0).sum(0)
        assert (covered > 1).sum() <= 0.02 * (covered > 0).sum()
        overlapping += bool((covered > 1).any())
        flat = maps.max(0)
        left, right = flat[:, :-1], flat[:, 1:]
        touching += bool(((left != right) & (left > 0) & (right > 0)).any())
    assert touching >= 6
    assert 1 <= overlapping <= 11


def test_dense_image_keeps_its_number_of_cells() -> None:
    image = synthesize_image(np.random.default_rng(0), 400, 400, 320)
    assert 310 <= len(image.cells) <= 320


@pytest.mark.parametrize(("height", "width", "cells"), [(16, 16, 3), (16, 300, 5), (64, 64, 0)])
def test_odd_sizes(height: int, width: int, cells: int) -> None:
    image = synthesize_image(np.random.default_rng(0), height, width, cells)
    assert image.rgb.shape == (height, width, 3)
    assert len(image.cells) <= cells


@pytest.mark.parametrize("arguments", [(15, 64, 3), (64, 64, -1)])
def test_nonsense_is_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"too small|negative"):
        synthesize_image(np.random.default_rng(0), *arguments)
