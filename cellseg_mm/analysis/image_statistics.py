"""What one image with its planes holds, cell by cell, in passes over its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellseg_mm.structures.planes import IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellStatistics:
    """Numbers of the N cells of an image.

    Attributes:
        areas: (N,) int64, pixels.
        nearest: (N,) distance between the centres of mass of a cell and of its nearest neighbour,
            pixels; inf for the only cell.
        touching: (N,) bool: a pixel of another cell is among the 8 neighbours of one of the cell's,
            or lies on it.
        colours: (N, 3) mean RGB, 0 to 255.
        tissue: (3,) mean RGB of the pixels outside of all cells; nan where there are none.
    """

    areas: npt.NDArray[np.int64]
    nearest: FloatArray
    touching: npt.NDArray[np.bool_]
    colours: FloatArray
    tissue: FloatArray


def measure_cells(
    image: npt.NDArray[np.uint8], planes: IntArray, ids: npt.NDArray[np.int64]
) -> CellStatistics:
    """Measure the cells of an image; the cost depends on the image, not on the number of cells.

    Args:
        image: (H, W, 3) uint8, RGB.
        planes: (P, H, W) ids, 0 = background.
        ids: (N,) ids of the cells, each of which occurs.
    """
    size = int(max(planes.max(initial=0), ids.max(initial=0))) + 1
    _, rows, columns = np.nonzero(planes)
    values = planes[planes > 0]  # in the order of np.nonzero
    areas = np.bincount(values, minlength=size)[ids]

    def mean(weights: npt.NDArray[np.generic]) -> FloatArray:
        return np.asarray(np.bincount(values, weights, size)[ids] / np.maximum(areas, 1), float)

    centres = np.column_stack((mean(columns), mean(rows)))
    pixels = image[rows, columns]
    colours = np.column_stack([mean(pixels[:, channel]) for channel in range(3)])
    outside = image[~(planes > 0).any(axis=0)]
    tissue = outside.mean(axis=0) if len(outside) else np.full(3, np.nan)
    touching = touching_ids(planes, size)[ids]
    return CellStatistics(areas, nearest_distances(centres), touching, colours, tissue)


def nearest_distances(centres: FloatArray) -> FloatArray:
    """Distance from each of (N, 2) points to the nearest other one; inf for a single point."""
    if len(centres) < 2:
        return np.full(len(centres), np.inf)
    distances, _ = cKDTree(centres).query(centres, k=2)
    return np.asarray(distances[:, 1])


def touching_ids(planes: IntArray, size: int) -> npt.NDArray[np.bool_]:
    """Which ids have a pixel on or beside (8 neighbours) a pixel of another id.

    Args:
        planes: (P, H, W) ids, 0 = background.
        size: Length of the result, above the largest id.

    Returns:
        (size,) bool, indexed by id.
    """
    touching = np.zeros(size, bool)
    height, width = planes.shape[1:]
    for first in planes:
        for second in planes:
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1)):
                a = first[: height - down, max(-right, 0) : width - max(right, 0)]
                b = second[down:, max(right, 0) : width + min(right, 0)]
                meet = (a != b) & (a > 0) & (b > 0)
                touching[a[meet]] = True
                touching[b[meet]] = True
    touching[0] = False
    return touching
