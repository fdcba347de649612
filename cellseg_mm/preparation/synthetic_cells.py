"""Paints H&E-like images together with the exact truth, for demos, tests and benchmarks.

Cells (:mod:`~cellseg_mm.preparation.cell_stamps`) are painted into tissue
(:mod:`~cellseg_mm.preparation.synthetic_tissue`) inside their boxes, so the cost grows with the
painted area and not with cells × image size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.cell_stamps import (
    CLASS_IDS,
    EPITHELIAL,
    LYMPHOCYTE,
    MACROPHAGE,
    NEUTROPHIL,
    PAINTERS,
    FloatMap,
    Stamp,
)
from cellseg_mm.preparation.synthetic_tissue import Tissue, smooth_noise, windows
from cellseg_mm.structures.planes import InstanceCrop

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

    def place(self, class_id: int, stamp: Stamp, tissue: Tissue) -> None:
        """Put a cell where it is free, or nearly; leave it out when there is no such place."""
        half = stamp.mask.shape[0] // 2
        shape = self._nest.shape
        least, where = np.inf, (0, 0)
        for _ in range(_PLACEMENT_TRIES):
            y, x = self._guess(class_id, half)
            image, local = windows(y, x, half, *shape)
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

        image, local = windows(*where, half, *shape)
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
        height, width: Pixels, at least 16.
        cells: Cells to paint. One that finds no place is left out: an image may hold a few less.

    Raises:
        ValueError: The image is too small, or the number of cells negative.
    """
    if min(height, width) < 16:
        raise UserError(f"An image of {width}×{height} pixels is too small: take 16 or more.")
    if cells < 0:
        raise UserError(f"The number of cells is {cells}, but must not be negative.")
    tissue = Tissue(rng, height, width)
    tissue.shed_red_cells(rng, int(rng.poisson(height * width / 12_000)))
    scale = min(1.0, np.sqrt(_FILLABLE_SHARE * height * width / (_TYPICAL_AREA * max(cells, 1))))

    texture = smooth_noise(rng, (256, 256), 1.5 * max(scale, 0.7))

    def grain(half: int) -> FloatMap:
        """A random piece of texture, (2·half + 1) pixels square."""
        side = 2 * half + 1
        y, x = rng.integers(0, 256 - side, 2)
        return texture[y : y + side, x : x + side]

    placer = _Placer(rng, tissue.nest)
    for class_id in _draw_classes(rng, cells):
        placer.place(int(class_id), PAINTERS[class_id](rng, scale, grain), tissue)
    ordered = sorted(placer.cells, key=lambda cell: cell[0])
    return SyntheticImage(
        tissue.photograph(rng),
        [
            SyntheticCell(class_id, InstanceCrop(number, top, left, bitmap))
            for number, (class_id, top, left, bitmap) in enumerate(ordered, start=1)
        ],
    )
