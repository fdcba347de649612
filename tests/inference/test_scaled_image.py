"""Images at a model's scale, against OpenCV, Pillow and means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import torch
from PIL import Image
from scipy import ndimage

from cellseg_mm.errors import UserError
from cellseg_mm.inference import scaled_image
from cellseg_mm.inference.scaled_image import ScaledImage, at_mpp
from cellseg_mm.readers.open_image import open_image

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def rgb() -> Pixels:
    """(120, 180, 3), smooth."""
    noise = np.random.default_rng(0).standard_normal((120, 180, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


@contextmanager
def opened(folder: Path, rgb: Pixels, **options: Any) -> Iterator[Any]:
    path = folder / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(32, 32), **options)
    with open_image(path) as image:
        yield image


def whole(view: ScaledImage) -> Pixels:
    return view.read(0, 0, view.width, view.height).permute(1, 2, 0).numpy()


def at(mpp_x: float, mpp_y: float) -> dict[str, Any]:
    """The tags of a scale."""
    return {"resolution": (1e4 / mpp_x, 1e4 / mpp_y), "resolutionunit": "centimeter"}


def test_half_the_size_is_near_the_mean_of_four(tmp_path: Path, rgb: Pixels) -> None:
    with opened(tmp_path, rgb, **at(0.125, 0.125)) as image:
        view = at_mpp(image, 0.25)
        assert (view.width, view.height, view.factors) == (90, 60, (2, 2))
        difference = whole(view) - rgb.reshape(60, 2, 90, 2, 3).mean(axis=(1, 3))
        assert abs(difference).mean() < 2  # sharper than means
        assert abs(difference.mean()) < 0.1
        assert view.warnings == []


def test_smaller_sizes_are_near_means_of_areas(tmp_path: Path, rgb: Pixels) -> None:
    with opened(tmp_path, rgb, **at(0.25, 0.25)) as image:
        view = at_mpp(image, 0.41)
        assert (view.width, view.height) == (110, 73)
        assert view.factors == (180 / 110, 120 / 73)
        means = cv2.resize(rgb.astype(np.float32), (110, 73), interpolation=cv2.INTER_AREA)
        assert abs(whole(view) - means).mean() < 3  # sharper than means


def test_larger_sizes_are_lanczos(tmp_path: Path, rgb: Pixels) -> None:
    with opened(tmp_path, rgb, **at(0.5, 0.5)) as image:
        view = at_mpp(image, 0.3)
        expected = np.dstack(
            [
                Image.fromarray(channel, "F").resize((300, 200), Image.Resampling.LANCZOS)
                for channel in rgb.transpose(2, 0, 1).astype(np.float32)
            ]
        ).clip(0, 255)
        assert abs(whole(view) - expected).max() < 2.5  # two roundings to 8 bits, with overshoot


@pytest.mark.parametrize(("mpp", "sizes"), [((0.25, 0.25), (170, 98)), ((0.5, 0.125), (340, 49))])
def test_nothing_is_shifted(
    tmp_path: Path, mpp: tuple[float, float], sizes: tuple[int, int], monkeypatch: Any
) -> None:
    """Ramps stay ramps: a pixel's middle has the value of its place."""
    monkeypatch.setattr(scaled_image, "_BLOCK", 32)
    y, x = np.mgrid[:140.0, :243.0]
    ramp = np.stack([x, y, 0 * x], axis=2).astype(np.uint8)
    with opened(tmp_path, ramp) as image:
        view = at_mpp(image, 0.357, mpp)
        assert (view.width, view.height) == sizes
        y, x = np.mgrid[: view.height, : view.width]
        for channel, place, factor in ((0, x, view.factors[0]), (1, y, view.factors[1])):
            expected = (place + 0.5) * factor - 0.5
            difference = abs(whole(view)[..., channel] - expected)[4:-4, 4:-4]
            assert difference.max() <= 1.01
            assert difference.mean() < 0.5


def test_pixels_that_are_not_square(tmp_path: Path, rgb: Pixels) -> None:
    with opened(tmp_path, rgb, **at(0.25, 1)) as image:
        assert image.mpp == pytest.approx((0.25, 1))
        view = at_mpp(image, 0.5)
        assert (view.width, view.height, view.factors) == (90, 240, (2, 0.5))


@pytest.mark.parametrize("model_mpp", [0.07, 0.19, 0.2499, 0.26, 0.3, 0.5, 0.77, 2.1])
@pytest.mark.parametrize("pyramid", [False, True])
def test_tiles_equal_the_whole(
    tmp_path: Path, rgb: Pixels, model_mpp: float, pyramid: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(scaled_image, "_BLOCK", 50)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        options: Any = {"photometric": "rgb", "tile": (32, 32)}
        writer.write(rgb, subifds=int(pyramid), **options, **at(0.25, 0.25))
        if pyramid:
            writer.write(rgb[::2, ::2], subfiletype=1, **options)
    with open_image(path) as image:
        view = at_mpp(image, model_mpp)
        tiled = torch.zeros(3, view.height, view.width, dtype=torch.uint8)
        rng = np.random.default_rng(1)
        cuts = [
            [0, *sorted(set(rng.integers(1, size, size=3).tolist())), size]
            for size in (view.width, view.height)
        ]
        for x1, x2 in zip(cuts[0], cuts[0][1:], strict=False):
            for y1, y2 in zip(cuts[1], cuts[1][1:], strict=False):
                tiled[:, y1:y2, x1:x2] = view.read(x1, y1, x2, y2)
        assert (tiled.permute(1, 2, 0).numpy() == whole(view)).all()


def test_the_best_level_is_read(tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "a.tif"
    options: Any = {"photometric": "rgb", "tile": (32, 32)}
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb, **options, **at(0.25, 0.25))
        writer.write(rgb[::2, ::2] // 2, subfiletype=1, **options)  # to be told apart
        writer.write(rgb[::4, ::4] // 4, subfiletype=1, **options)
    with open_image(path) as image:
        assert (whole(at_mpp(image, 0.5)) == rgb[::2, ::2] // 2).all()
        assert (whole(at_mpp(image, 1)) == rgb[::4, ::4] // 4).all()
        for mpp, share in [(0.2, 1), (0.3, 1), (0.475, 1), (0.495, 2), (0.75, 2), (3, 4)]:
            assert whole(at_mpp(image, mpp)).mean() == pytest.approx(rgb.mean() / share, rel=0.02)


@pytest.mark.parametrize("mpp", [0.25, 0.246, 0.2549])
def test_a_scale_within_two_percent_is_the_same(tmp_path: Path, rgb: Pixels, mpp: float) -> None:
    with opened(tmp_path, rgb) as image:
        view = at_mpp(image, 0.25, mpp)
        assert view.factors == (1, 1)
        assert view.warnings == []
        assert (whole(view) == rgb).all()


def test_an_unknown_scale_is_taken_as_the_models_and_it_is_said(
    tmp_path: Path, rgb: Pixels
) -> None:
    with opened(tmp_path, rgb) as image:
        view = at_mpp(image, 0.25)
        assert (whole(view) == rgb).all()
        assert "does not say how large its pixels are" in view.warnings[0]
        assert image.warnings == []
        assert at_mpp(image, 0.25, (0.5, 0.25)).factors == (0.5, 1)


@pytest.mark.parametrize("mpp", [0.0, -1.0, 0.01, 300.0, float("nan"), (0.25, 99.0)])
def test_a_stated_scale_at_which_no_cell_is_seen(tmp_path: Path, rgb: Pixels, mpp: Any) -> None:
    with (
        opened(tmp_path, rgb) as image,
        pytest.raises(UserError, match=r"must lie between 0\.05 and 5"),
    ):
        at_mpp(image, 0.25, mpp)


def test_regions_must_lie_inside(tmp_path: Path, rgb: Pixels) -> None:
    with opened(tmp_path, rgb) as image:
        view = at_mpp(image, 0.25, 0.5)
        with pytest.raises(ValueError, match="leaves the 360×240 pixels"):
            view.read(0, 0, 361, 240)
