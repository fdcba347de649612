from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from cellseg_mm.preparation.image_fingerprint import (
    SAME_IMAGE,
    fingerprint,
    same_image_groups,
    same_images,
)


def image(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)


def test_it_is_a_unit_vector_that_knows_no_colour_order() -> None:
    found = fingerprint(image(0))
    assert found is not None
    assert found.shape == (480,)  # 15 × 16 steps down, 16 × 15 across
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found, fingerprint(image(0)[..., ::-1].copy()), atol=1e-6)


def test_small_and_blank_images_have_none() -> None:
    assert fingerprint(image(0, 31, 200)) is None
    assert fingerprint(np.full((99, 99, 3), 7, np.uint8)) is None


def test_sizes_compressions_and_alpha_are_known_again() -> None:
    one = image(1)
    half = cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    alpha = np.dstack((one, np.full(one.shape[:2], 9, np.uint8)))
    every = [one, image(2), jpeg(one, 30), half, image(3), alpha, one]
    contents = ["one", "two", "jpeg", "half", "three", "alpha", "one"]
    sizes = [(i.shape[0], i.shape[1]) for i in every]
    roots = same_images(contents, [fingerprint(i) for i in every], sizes)
    assert roots == [0, 1, 0, 0, 4, 0, 0]
    assert same_image_groups(roots) == [[0, 2, 3, 5, 6]]


def test_another_shape_is_another_image() -> None:
    one = image(1)
    wide = cv2.resize(one, (200, 120))
    prints = [fingerprint(one), fingerprint(wide)]
    assert prints[0] @ prints[1] > SAME_IMAGE
    assert same_images(["a", "b"], prints, [(120, 160), (120, 200)]) == [0, 1]


def test_pixels_tell_where_there_is_no_fingerprint() -> None:
    assert same_images(["a", "b", "a"], [None] * 3, [(9, 9)] * 3) == [0, 1, 0]
    assert same_images([], [], []) == []


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


@pytest.mark.shared_data
def test_real_images_differ_and_are_known_again(shared_data: Path) -> None:
    """The numbers of docs/audit.md."""
    files = [
        path
        for name in ("consep", "monusac", "nucls_cc0")
        for form in ("train/*/image.tif", "test_release/*.tif")
        for path in sorted(shared_data.glob(f"{name}/{form}"))
    ]
    images = [np.ascontiguousarray(tifffile.imread(path)[..., :3]) for path in files]
    prints = [fingerprint(image) for image in images]
    assert len(images) == sum(print_ is not None for print_ in prints) == 103
    known = np.stack(prints)
    assert np.triu(known @ known.T, 1).max() < 0.23
    half, quarter = (
        [cv2.resize(i, None, fx=f, fy=f, interpolation=cv2.INTER_AREA) for i in images]
        for f in (0.5, 0.25)
    )
    for changed, least in (([jpeg(i, 30) for i in images], 0.99), (half, 0.97), (quarter, 0.83)):
        again = [fingerprint(image) for image in changed]
        found = [a @ b for a, b in zip(prints, again, strict=True) if b is not None]
        assert min(found) >= least
