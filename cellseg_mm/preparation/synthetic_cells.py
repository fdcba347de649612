"""Paints H&E-like images together with the exact truth, for demos, tests and benchmarks.

An image is made as a microscope makes it: two maps say how much haematoxylin (blue-purple, in
nuclei) and eosin (pink, elsewhere) lies on each pixel, and both absorb light (Beer–Lambert law);
blur and noise come last. Cells are painted inside their boxes, so the cost grows with the painted
area and not with cells × image size.

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
from scipy.ndimage import gaussian_filter, map_coordinates

from cellseg_mm.errors import UserError
from cellseg_mm.structures.planes import InstanceCrop

EPITHELIAL, LYMPHOCYTE, NEUTROPHIL, MACROPHAGE = CLASS_IDS = (1, 2, 3, 4)

# Absorbance of (red, green, blue) light by one unit of stain. The directions are close to those of
# Ruifrok and Johnston (2001); the lengths put the units near 1.
_HAEMATOXYLIN = np.array([0.95, 1.15, 0.55], np.float32)
_EOSIN = np.array([0.10, 0.75, 0.35], np.float32)

# A rare class has a tenth of the cells of the images in which it occurs.
_COMMON_SHARE = {EPITHELIAL: 0.60, LYMPHOCYTE: 0.40}
_RARE_SHARE = 0.10
_RARE_PRESENCE = 0.6
_COMMON_ABSENCE = 0.15

# About the area of a cell and the share of the image that randomly placed cells can fill without
# piling up (random discs jam at 55 %); denser images get smaller cells.
_TYPICAL_AREA = 440.0
_FILLABLE_SHARE = 0.40

_PLACEMENT_TRIES = 40
_TOUCHING_SHARE = 0.2
_TOLERATED_OVERLAP = 0.10
_WORST_OVERLAP = 0.45
_OVERLAPPING_IMAGES = 0.3
_KEPT_OVERLAP_PIXELS = 20
_SMALLEST_AREA = 20

FloatMap = npt.NDArray[np.float32]


class SyntheticCell(NamedTuple):
    """One painted cell.

    Attributes:
        class_id: 1 to 4.
        crop: Its pixels, cut at the image's border and by cells painted before; its ids run from 1
            over the image, class by class.
    """

    class_id: int
    crop: InstanceCrop


class SyntheticImage(NamedTuple):
    """An image and its truth.

    Attributes:
        rgb: (H, W, 3) uint8, true colour.
        cells: Cells, ordered by id.
    """

    rgb: npt.NDArray[np.uint8]
    cells: list[SyntheticCell]

    def label_maps(self, first_id: int = 1) -> npt.NDArray[np.int32]:
        """Truth as (4, H, W) int32: a map of instance ids a class, the least id being `first_id`.

        Cells of one class never overlap; cells of two classes may, by a few pixels.
        """
        maps = np.zeros((len(CLASS_IDS), *self.rgb.shape[:2]), np.int32)
        for class_id, (instance_id, top, left, bitmap) in self.cells:
            h, w = bitmap.shape
            window = maps[class_id - 1, top : top + h, left : left + w]
            window[bitmap] = instance_id + first_id - 1
        return maps


class _Stamp(NamedTuple):
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


def _noise(rng: np.random.Generator, shape: tuple[int, int], *sigma: float) -> FloatMap:
    """Smooth noise of mean 0 and standard deviation 1 that continues across opposite edges."""
    white = rng.standard_normal(shape, np.float32)
    smooth = gaussian_filter(white, sigma if len(sigma) > 1 else sigma[0], mode="wrap", truncate=3)
    return (smooth - smooth.mean()) / (smooth.std() + 1e-6)


def _sigmoid(x: FloatMap) -> FloatMap:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


class _Blob:
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


_Grain = Callable[[int], FloatMap]


def _epithelial(rng: np.random.Generator, scale: float, grain: _Grain) -> _Stamp:
    long = scale * np.clip(rng.normal(15, 1.9), 10.5, 20)
    outline = _Blob(rng, long, long * rng.uniform(0.66, 0.9), 0.09)
    chromatin = grain(outline.half)
    haematoxylin = rng.uniform(0.5, 0.85) + 0.2 * chromatin + 0.5 * outline.rim(0.11)
    for _ in range(rng.integers(1, 3)):
        away = rng.normal(0, 0.22 * long, 2)
        nucleolus = _Blob(rng, 2.0 * scale, 1.7 * scale, 0, (away[0], away[1]), outline.half)
        haematoxylin += 0.55 * nucleolus.cover(1.5)
    eosin = np.full_like(haematoxylin, 0.2)
    return _Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.1))


def _lymphocyte(rng: np.random.Generator, scale: float, grain: _Grain) -> _Stamp:
    long = scale * np.clip(rng.normal(10.5, 0.9), 8, 13)
    outline = _Blob(rng, long, long * rng.uniform(0.84, 1.0), 0.06)
    haematoxylin = rng.uniform(1.1, 1.45) + 0.22 * grain(outline.half) + 0.15 * outline.rim(0.2)
    eosin = np.full_like(haematoxylin, 0.25)
    return _Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.5))


def _neutrophil(rng: np.random.Generator, scale: float, grain: _Grain) -> _Stamp:
    long = scale * np.clip(rng.normal(13, 0.8), 11, 15)
    outline = _Blob(rng, long, long * rng.uniform(0.88, 1.0), 0.05)
    granules = grain(outline.half)
    haematoxylin = 0.14 + 0.04 * granules
    eosin = rng.uniform(0.75, 0.95) + 0.12 * granules + 0.25 * outline.rim(0.12)
    # The lobes of the nucleus lie on an arc, as beads on a bent string.
    start = rng.uniform(0, 2 * np.pi)
    for angle in start + np.arange(rng.integers(3, 5)) * rng.uniform(1.1, 1.5):
        centre = (0.46 * long * np.cos(angle), 0.46 * long * np.sin(angle))
        lobe_long = long * rng.uniform(0.3, 0.38)
        lobe = _Blob(rng, lobe_long, 0.28 * long, 0.08, centre, outline.half)
        haematoxylin = np.maximum(haematoxylin, 1.5 * lobe.cover(1.3))
    return _Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.5))


def _macrophage(rng: np.random.Generator, scale: float, grain: _Grain) -> _Stamp:
    long = scale * np.clip(rng.normal(20.5, 2.0), 16, 25)
    outline = _Blob(rng, long, long * rng.uniform(0.8, 0.98), 0.08)
    foam = grain(outline.half)
    vacuoles = np.clip(foam - 0.3, 0, 1)
    haematoxylin = 0.2 - 0.1 * vacuoles + 0.12 * outline.rim(0.07)
    eosin = 0.2 - 0.14 * vacuoles + 0.4 * outline.rim(0.07)
    angle = rng.uniform(0, 2 * np.pi)
    centre = (0.42 * long * np.cos(angle), 0.42 * long * np.sin(angle))
    nucleus_long = long * rng.uniform(0.36, 0.42)
    nucleus_short = long * rng.uniform(0.28, 0.34)
    nucleus = _Blob(rng, nucleus_long, nucleus_short, 0.08, centre, outline.half)
    inside = nucleus.cover(1.3)
    stained = 0.95 + 0.15 * foam + 0.35 * nucleus.rim(0.15)
    haematoxylin += (stained - haematoxylin) * inside
    return _Stamp(outline.radius < 1, outline.cover(1.2), haematoxylin, eosin, outline.halo(0.3))


_PAINTERS = {
    EPITHELIAL: _epithelial,
    LYMPHOCYTE: _lymphocyte,
    NEUTROPHIL: _neutrophil,
    MACROPHAGE: _macrophage,
}


class _Tissue:
    """The background: stroma of wavy fibres, nests of epithelium, gaps; and the stains on it."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        shape = (height, width)
        nests = _noise(rng, shape, 38.0)
        self.nest = _sigmoid(5 * (nests - rng.uniform(-0.4, 0.4)))
        gap = _sigmoid(9 * (_noise(rng, shape, 22.0) - 1.5))
        fibre = self._fibres(rng, shape)
        grainy = _noise(rng, shape, 1.6)
        tone = _noise(rng, shape, 30.0)
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
        strands = _noise(rng, (256, 256), 1.3, 16.0)
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        turn = rng.uniform(0, np.pi)
        bend = 14 * _noise(rng, shape, 28.0)
        across = y * np.cos(turn) - x * np.sin(turn) + bend
        along = y * np.sin(turn) + x * np.cos(turn)
        return map_coordinates(strands, [across, along], order=1, mode="grid-wrap")

    def shed_red_cells(self, rng: np.random.Generator, count: int) -> None:
        """Strew red blood cells: bright pink, without a nucleus, in no class."""
        height, width = self.eosin.shape
        for _ in range(count):
            blob = _Blob(rng, rng.uniform(6, 8), rng.uniform(4.5, 6.5), 0.05)
            y, x = int(rng.integers(height)), int(rng.integers(width))
            image, local = _windows(y, x, blob.half, height, width)
            cover = blob.cover(1.2)[local]
            colour = (1.15 - 0.25 * (1 - blob.radius) ** 2)[local]
            self.eosin[image] = self.eosin[image] * (1 - cover) + colour * cover
            self.haematoxylin[image] *= 1 - 0.7 * cover

    def stain(self, stamp: _Stamp, weight: FloatMap, image: _Window, local: _Window) -> None:
        """Lay a cell over the background.

        Args:
            stamp: The cell.
            weight: Its cover inside the image, 0 where another cell lies.
            image: Its place in the image.
            local: The part of the stamp inside the image.
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


_Window = tuple[slice, slice]


def _windows(y: int, x: int, half: int, height: int, width: int) -> tuple[_Window, _Window]:
    """The window of a stamp in the image, and the part of the stamp that it shows."""
    top, left = y - half, x - half
    bottom, right = min(y + half + 1, height), min(x + half + 1, width)
    image = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    local = np.s_[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
    return image, local


def _draw_classes(rng: np.random.Generator, cells: int) -> npt.NDArray[np.int64]:
    """Classes of the cells of one image, largest cells first, as the larger are harder to place."""
    shares = dict(_COMMON_SHARE)
    if rng.random() < 2 * _COMMON_ABSENCE:
        del shares[(EPITHELIAL, LYMPHOCYTE)[rng.integers(2)]]
    for rare in (NEUTROPHIL, MACROPHAGE):
        if rng.random() < _RARE_PRESENCE:
            shares[rare] = _RARE_SHARE
    weights = np.array(list(shares.values()))
    drawn = rng.choice(list(shares), cells, p=weights / weights.sum())
    size_order = [MACROPHAGE, EPITHELIAL, NEUTROPHIL, LYMPHOCYTE]
    return np.array(sorted(drawn, key=size_order.index), np.int64)


class _Placer:
    """Finds places for cells and keeps account of the pixels they take."""

    def __init__(self, rng: np.random.Generator, nest: FloatMap) -> None:
        self._rng = rng
        self._nest = nest
        self._taken = np.zeros((1 + len(CLASS_IDS), *nest.shape), bool)  # entry 0: by any class
        self._centres: list[tuple[int, int, int]] = []
        self._keeps_overlaps = rng.random() < _OVERLAPPING_IMAGES
        self.cells: list[tuple[int, int, int, npt.NDArray[np.bool_]]] = []

    def _guess(self, class_id: int, half: int) -> tuple[int, int]:
        """A random place: beside another cell, or anywhere where the class feels at home."""
        rng = self._rng
        height, width = self._nest.shape
        if self._centres and rng.random() < _TOUCHING_SHARE:
            y, x, other = self._centres[rng.integers(len(self._centres))]
            angle, distance = rng.uniform(0, 2 * np.pi), (half + other) * rng.uniform(0.66, 0.8)
            y, x = int(y + distance * np.sin(angle)), int(x + distance * np.cos(angle))
            return min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        y, x = int(rng.integers(height)), int(rng.integers(width))
        for _ in range(4):
            at_home = self._nest[y, x] if class_id == EPITHELIAL else 1 - self._nest[y, x]
            if rng.random() < 0.15 + at_home:
                break
            y, x = int(rng.integers(height)), int(rng.integers(width))
        return y, x

    def place(self, class_id: int, stamp: _Stamp, tissue: _Tissue) -> None:
        """Put a cell where it is free, or nearly; leave it out when there is no such place."""
        half = stamp.mask.shape[0] // 2
        shape = self._nest.shape
        least, where = np.inf, (0, 0)
        for _ in range(_PLACEMENT_TRIES):
            y, x = self._guess(class_id, half)
            image, local = _windows(y, x, half, *shape)
            mask = stamp.mask[local]
            area = np.count_nonzero(mask)
            if area < _SMALLEST_AREA:
                continue
            overlap = np.count_nonzero(self._taken[0][image] & mask) / area
            if overlap < least:
                least, where = overlap, (y, x)
            if overlap <= _TOLERATED_OVERLAP:
                break
        if least > _WORST_OVERLAP:
            return

        image, local = _windows(*where, half, *shape)
        mask, taken = stamp.mask[local], self._taken[0][image]
        visible = mask & ~taken
        overlap_pixels = np.count_nonzero(mask & taken)
        if self._keeps_overlaps and 0 < overlap_pixels <= _KEPT_OVERLAP_PIXELS:
            visible = mask & ~self._taken[class_id][image]
        if np.count_nonzero(visible) < _SMALLEST_AREA:
            return
        weight = np.where(taken & ~visible, 0, stamp.cover[local])
        tissue.stain(stamp, weight, image, local)
        self._taken[0][image] |= visible
        self._taken[class_id][image] |= visible
        self._centres.append((*where, half))
        rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        self.cells.append(
            (
                class_id,
                image[0].start + int(rows[0]),
                image[1].start + int(columns[0]),
                visible[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy(),
            )
        )


def synthesize_image(
    rng: np.random.Generator, height: int, width: int, cells: int
) -> SyntheticImage:
    """Paint one image.

    Boxes measure about 15 to 45 pixels, at the median about 22, in images of up to 900 cells a
    megapixel; above, cells shrink so that they still find room.

    Args:
        rng: Source of everything random; the same state gives the same image.
        height: Pixels, at least 16.
        width: Pixels, at least 16.
        cells: Cells to paint. One that finds no place is left out: an image may hold a few less.

    Returns:
        The image and its cells.

    Raises:
        ValueError: The image is too small, or the number of cells negative.
    """
    if min(height, width) < 16:
        raise UserError(f"An image of {width}×{height} pixels is too small: take 16 or more.")
    if cells < 0:
        raise UserError(f"The number of cells is {cells}, but must not be negative.")
    tissue = _Tissue(rng, height, width)
    tissue.shed_red_cells(rng, int(rng.poisson(height * width / 12_000)))
    scale = min(1.0, np.sqrt(_FILLABLE_SHARE * height * width / (_TYPICAL_AREA * max(cells, 1))))

    texture = _noise(rng, (256, 256), 1.5 * max(scale, 0.7))

    def grain(half: int) -> FloatMap:
        """A random piece of texture, (2·half + 1) pixels square."""
        side = 2 * half + 1
        y, x = rng.integers(0, 256 - side, 2)
        return texture[y : y + side, x : x + side]

    placer = _Placer(rng, tissue.nest)
    for class_id in _draw_classes(rng, cells):
        placer.place(int(class_id), _PAINTERS[class_id](rng, scale, grain), tissue)
    ordered = sorted(placer.cells, key=lambda cell: cell[0])
    return SyntheticImage(
        tissue.photograph(rng),
        [
            SyntheticCell(class_id, InstanceCrop(number, top, left, bitmap))
            for number, (class_id, top, left, bitmap) in enumerate(ordered, start=1)
        ],
    )
