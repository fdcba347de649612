"""The tissue that painted cells lie in, and the light that passes through both.

Two maps say how much haematoxylin (blue-purple, in nuclei) and eosin (pink, elsewhere) lies on each
pixel, and both absorb light (Beer–Lambert law); blur and noise come last, as in a microscope.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from cellseg_mm.preparation.cell_stamps import Blob, FloatMap, Stamp

# Absorbance of (red, green, blue) light by one unit of stain. The directions are close to those of
# Ruifrok and Johnston (2001); the lengths put the units near 1.
_HAEMATOXYLIN = np.array([0.95, 1.15, 0.55], np.float32)
_EOSIN = np.array([0.10, 0.75, 0.35], np.float32)

Window = tuple[slice, slice]


def windows(y: int, x: int, half: int, height: int, width: int) -> tuple[Window, Window]:
    """The window of a stamp in the image, and the part of the stamp that it shows."""
    top, left = y - half, x - half
    bottom, right = min(y + half + 1, height), min(x + half + 1, width)
    image = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    local = np.s_[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
    return image, local


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], *sigma: float) -> FloatMap:
    """Smooth noise of mean 0 and standard deviation 1 that continues across opposite edges."""
    white = rng.standard_normal(shape, np.float32)
    smooth = gaussian_filter(white, sigma if len(sigma) > 1 else sigma[0], mode="wrap", truncate=3)
    return (smooth - smooth.mean()) / (smooth.std() + 1e-6)


def _sigmoid(x: FloatMap) -> FloatMap:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


class Tissue:
    """The background: stroma of wavy fibres, nests of epithelium, gaps; and the stains on it."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        shape = (height, width)
        nests = smooth_noise(rng, shape, 38.0)
        self.nest = _sigmoid(5 * (nests - rng.uniform(-0.4, 0.4)))
        gap = _sigmoid(9 * (smooth_noise(rng, shape, 22.0) - 1.5))
        fibre = self._fibres(rng, shape)
        grainy = smooth_noise(rng, shape, 1.6)
        tone = smooth_noise(rng, shape, 30.0)
        stroma_eosin = 0.55 + 0.13 * fibre + 0.05 * tone + 0.05 * grainy
        stroma_haematoxylin = 0.08 + 0.02 * fibre + 0.02 * grainy
        nest_eosin = 0.42 + 0.05 * grainy + 0.03 * tone
        nest_haematoxylin = 0.17 + 0.03 * grainy
        solid = 1 - 0.9 * gap
        self.eosin = (stroma_eosin * (1 - self.nest) + nest_eosin * self.nest) * solid
        self.haematoxylin = (
            stroma_haematoxylin * (1 - self.nest) + nest_haematoxylin * self.nest
        ) * solid

    @staticmethod
    def _fibres(rng: np.random.Generator, shape: tuple[int, int]) -> FloatMap:
        """Strands along one direction that bends from place to place."""
        strands = smooth_noise(rng, (256, 256), 1.3, 16.0)
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        turn = rng.uniform(0, np.pi)
        bend = 14 * smooth_noise(rng, shape, 28.0)
        across = y * np.cos(turn) - x * np.sin(turn) + bend
        along = y * np.sin(turn) + x * np.cos(turn)
        return map_coordinates(strands, [across, along], order=1, mode="grid-wrap")

    def shed_red_cells(self, rng: np.random.Generator, count: int) -> None:
        """Strew red blood cells: bright pink, without a nucleus, in no class."""
        height, width = self.eosin.shape
        for _ in range(count):
            blob = Blob(rng, rng.uniform(6, 8), rng.uniform(4.5, 6.5), 0.05)
            y, x = int(rng.integers(height)), int(rng.integers(width))
            image, local = windows(y, x, blob.half, height, width)
            cover = blob.cover(1.2)[local]
            colour = (1.15 - 0.25 * (1 - blob.radius) ** 2)[local]
            self.eosin[image] = self.eosin[image] * (1 - cover) + colour * cover
            self.haematoxylin[image] *= 1 - 0.7 * cover

    def stain(self, stamp: Stamp, weight: FloatMap, image: Window, local: Window) -> None:
        """Lay a cell over the background.

        ``weight`` is its cover inside the image, 0 where another cell lies; ``image`` is its place
        there, ``local`` the part of the stamp that it shows.
        """
        rest = (1 - stamp.halo[local] * (1 - weight)) * (1 - weight)
        self.eosin[image] = self.eosin[image] * rest + stamp.eosin[local] * weight
        self.haematoxylin[image] = (
            self.haematoxylin[image] * rest + stamp.haematoxylin[local] * weight
        )

    def photograph(self, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8: the light that passes, with the stain varying from slide to slide."""
        haematoxylin = _HAEMATOXYLIN * rng.uniform(0.9, 1.12) * rng.normal(1, 0.03, 3)
        eosin = _EOSIN * rng.uniform(0.8, 1.2) * rng.normal(1, 0.05, 3)
        blur = rng.uniform(0.6, 1.0)
        rgb = np.empty((*self.eosin.shape, 3), np.uint8)
        for channel in range(3):
            absorbed = self.haematoxylin * np.float32(haematoxylin[channel])
            absorbed += self.eosin * np.float32(eosin[channel])
            light = gaussian_filter(np.exp(-np.maximum(absorbed, 0)), blur, truncate=3)
            noise = rng.standard_normal(light.shape, np.float32)
            rgb[..., channel] = np.clip(246 * light + 3.5 * noise, 0, 255).round()
        return rgb
