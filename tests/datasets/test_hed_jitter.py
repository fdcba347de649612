"""Jitter of the stains."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_mm.datasets.transforms.hed_jitter import HEDJitter, jitter_stains


def every_level() -> np.ndarray:
    """(256, 64, 3) uint8: all levels, in mixed colours."""
    rng = np.random.default_rng(0)
    return (
        np.stack([rng.permutation(np.arange(256 * 64) % 256) for _ in range(3)], axis=-1)
        .astype(np.uint8)
        .reshape(256, 64, 3)
    )


def test_no_jitter_is_the_identity() -> None:
    image = every_level()
    np.testing.assert_array_equal(jitter_stains(image, np.ones(3), np.zeros(3)), image)


def stained(haematoxylin: float, eosin: float) -> np.ndarray:
    """One BGR pixel of known amounts of stain, by the formula of Beer and Lambert."""
    h = np.array([0.65, 0.70, 0.29]) / np.sqrt(0.65**2 + 0.70**2 + 0.29**2)
    e = np.array([0.07, 0.99, 0.11]) / np.sqrt(0.07**2 + 0.99**2 + 0.11**2)
    rgb = 256 * np.exp(-(haematoxylin * h + eosin * e)) - 1
    return np.rint(rgb[::-1]).astype(np.uint8).reshape(1, 1, 3)


def test_each_stain_is_changed_alone() -> None:
    image = stained(0.8, 0.5)
    more_haematoxylin = jitter_stains(image, np.array([1.25, 1, 1]), np.zeros(3))
    np.testing.assert_allclose(more_haematoxylin, stained(1.0, 0.5), atol=1)
    less_eosin = jitter_stains(image, np.array([1, 0.6, 1]), np.zeros(3))
    np.testing.assert_allclose(less_eosin, stained(0.8, 0.3), atol=1)
    shifted = jitter_stains(image, np.ones(3), np.array([0.1, -0.2, 0]))
    np.testing.assert_allclose(shifted, stained(0.9, 0.3), atol=1)


def test_white_stays_white_without_a_shift() -> None:
    glass = np.full((4, 5, 3), 255, np.uint8)
    np.random.seed(0)
    for _ in range(5):
        assert (HEDJitter(0.3, shift=0.0, prob=1.0).transform({"img": glass})["img"] == 255).all()


def test_share_of_images_and_seed() -> None:
    image = every_level()
    jitter = HEDJitter(prob=0.3)
    runs = []
    for _ in range(2):
        np.random.seed(5)
        runs.append([jitter.transform({"img": image})["img"] for _ in range(200)])
    changed = sum(not np.array_equal(result, image) for result in runs[0])
    assert 30 < changed < 90  # 60 expected, 6.5 is one standard deviation
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))
    np.testing.assert_array_equal(image, every_level())  # the input is left as it was


@pytest.mark.parametrize("arguments", [{"scale": 1.0}, {"shift": -0.1}, {"prob": 2.0}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}="):
        HEDJitter(**arguments)
