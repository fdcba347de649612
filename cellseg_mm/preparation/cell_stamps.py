"""How painted cells look: a stamp of each of four classes, before it has a place in an image.

The classes differ as those of MoNuSAC do, and as there the masks of the first two are nuclei, those
of the other two whole cells:

1. epithelial: larger oval nuclei, dark membrane, coarse chromatin and nucleoli, in nests; common
2. lymphocyte: small, round, dark, in the stroma; common
3. neutrophil: a few dark lobes in a small pink cell; rare
4. macrophage: a large pale, foamy cell with its nucleus off the centre; rare
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EPITHELIAL, LYMPHOCYTE, NEUTROPHIL, MACROPHAGE = CLASS_IDS = (1, 2, 3, 4)

FloatMap = npt.NDArray[np.float32]


class Stamp(NamedTuple):
    """A cell before it is placed, on a square grid around its centre.

    Attributes:
        mask: (S, S) bool, its pixels.
        cover: (S, S) how much it covers what lies below, 0 to 1.
        haematoxylin, eosin: (S, S) amounts of stain.
        halo: (S, S) share of the background that shrank away around it, 0 to 1.
    """

    mask: npt.NDArray[np.bool_]
    cover: FloatMap
    haematoxylin: FloatMap
    eosin: FloatMap
    halo: FloatMap


class Blob:
    """A rounded, uneven outline on a square grid.

    Args:
        rng: Source of the shape.
        long, short: Semi-axes, pixels.
        roughness: How far the outline strays from an ellipse.
        centre: Shift of the centre (x, y), pixels; a blob inside a cell is off the middle.
        half: Half the side of the grid, pixels; by default the blob and its halo fit.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        long: float,
        short: float,
        roughness: float,
        centre: tuple[float, float] = (0.0, 0.0),
        half: int | None = None,
    ) -> None:
        self.half = int(np.ceil(long * 1.35)) + 2 if half is None else half
        offset = np.arange(-self.half, self.half + 1, dtype=np.float32)
        x = offset[None, :] - np.float32(centre[0])
        y = offset[:, None] - np.float32(centre[1])
        turn = rng.uniform(0, np.pi)
        along = (x * np.cos(turn) + y * np.sin(turn)) / long
        across = (y * np.cos(turn) - x * np.sin(turn)) / short
        angle = np.arctan2(across, along)
        edge = np.ones_like(angle)
        for waves in (2, 3, 4, 5):
            amplitude = rng.normal(0, roughness / waves)
            edge += amplitude * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
        # 0 at the centre, 1 on the outline.
        self.radius = (np.hypot(along, across) / np.maximum(edge, 0.4)).astype(np.float32)
        self._pixels = float(np.sqrt(long * short))

    def cover(self, softness: float = 1.0) -> FloatMap:
        """1 inside, 0 outside, with an edge about `softness` pixels wide."""
        return np.clip((1 - self.radius) * (self._pixels / softness) + 0.5, 0, 1)

    def rim(self, width: float) -> FloatMap:
        """A ridge of height 1 just inside the outline; `width` as a share of the radius."""
        return np.exp(-(((self.radius - 1 + width) / width) ** 2))

    def halo(self, strength: float) -> FloatMap:
        """A zone that fades out around the outline."""
        return strength * np.exp(-((np.maximum(self.radius - 1, 0) / 0.2) ** 2))


Grain = Callable[[int], FloatMap]


def _epithelial(rng: np.random.Generator, scale: float, grain: Grain) -> Stamp:
    long = scale * np.clip(rng.normal(15, 1.9), 10.5, 20)
    outline = Blob(rng, long, long * rng.uniform(0.66, 0.9), 0.09)
    chromatin = grain(outline.half)
    haematoxylin = rng.uniform(0.5, 0.85) + 0.2 * chromatin + 0.5 * outline.rim(0.11)
    for _ in range(rng.integers(1, 3)):
        away = rng.normal(0, 0.22 * long, 2)
        nucleolus = Blob(rng, 2.0 * scale, 1.7 * scale, 0, (away[0], away[1]), outline.half)
        haematoxylin += 0.55 * nucleolus.cover(1.5)
    eosin = np.full_like(haematoxylin, 0.2)
    return Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.1))


def _lymphocyte(rng: np.random.Generator, scale: float, grain: Grain) -> Stamp:
    long = scale * np.clip(rng.normal(10.5, 0.9), 8, 13)
    outline = Blob(rng, long, long * rng.uniform(0.84, 1.0), 0.06)
    haematoxylin = rng.uniform(1.1, 1.45) + 0.22 * grain(outline.half) + 0.15 * outline.rim(0.2)
    eosin = np.full_like(haematoxylin, 0.25)
    return Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.5))


def _neutrophil(rng: np.random.Generator, scale: float, grain: Grain) -> Stamp:
    long = scale * np.clip(rng.normal(13, 0.8), 11, 15)
    outline = Blob(rng, long, long * rng.uniform(0.88, 1.0), 0.05)
    granules = grain(outline.half)
    haematoxylin = 0.14 + 0.04 * granules
    eosin = rng.uniform(0.75, 0.95) + 0.12 * granules + 0.25 * outline.rim(0.12)
    # The lobes of the nucleus lie on an arc, as beads on a bent string.
    start = rng.uniform(0, 2 * np.pi)
    for angle in start + np.arange(rng.integers(3, 5)) * rng.uniform(1.1, 1.5):
        centre = (0.46 * long * np.cos(angle), 0.46 * long * np.sin(angle))
        lobe_long = long * rng.uniform(0.3, 0.38)
        lobe = Blob(rng, lobe_long, 0.28 * long, 0.08, centre, outline.half)
        haematoxylin = np.maximum(haematoxylin, 1.5 * lobe.cover(1.3))
    return Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.5))


def _macrophage(rng: np.random.Generator, scale: float, grain: Grain) -> Stamp:
    long = scale * np.clip(rng.normal(20.5, 2.0), 16, 25)
    outline = Blob(rng, long, long * rng.uniform(0.8, 0.98), 0.08)
    foam = grain(outline.half)
    vacuoles = np.clip(foam - 0.3, 0, 1)
    haematoxylin = 0.2 - 0.1 * vacuoles + 0.12 * outline.rim(0.07)
    eosin = 0.2 - 0.14 * vacuoles + 0.4 * outline.rim(0.07)
    angle = rng.uniform(0, 2 * np.pi)
    centre = (0.42 * long * np.cos(angle), 0.42 * long * np.sin(angle))
    nucleus_long = long * rng.uniform(0.36, 0.42)
    nucleus_short = long * rng.uniform(0.28, 0.34)
    nucleus = Blob(rng, nucleus_long, nucleus_short, 0.08, centre, outline.half)
    inside = nucleus.cover(1.3)
    stained = 0.95 + 0.15 * foam + 0.35 * nucleus.rim(0.15)
    haematoxylin += (stained - haematoxylin) * inside
    return Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.3))


PAINTERS = {
    EPITHELIAL: _epithelial,
    LYMPHOCYTE: _lymphocyte,
    NEUTROPHIL: _neutrophil,
    MACROPHAGE: _macrophage,
}
