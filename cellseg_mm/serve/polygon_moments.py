"""Areas and centres of many polygons at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cellseg_mm.serve.geojson_cells import DrawnCell


def areas_and_centroids(cells: Sequence[DrawnCell]) -> npt.NDArray[np.float64]:
    """Area, x and y of the centre of each cell, without its holes: (N, 3).

    Of a cell without an area, the centre is the mean of its corners.
    """
    rings = [ring for cell in cells for ring in cell.rings]
    owners = np.repeat(np.arange(len(cells)), [len(cell.rings) for cell in cells])
    lengths = np.array([len(ring) for ring in rings])
    starts = np.cumsum(lengths) - lengths
    corners = np.concatenate(rings)
    # Near the origin, the products keep their digits.
    origins = np.array([cell.rings[0][0] for cell in cells])
    here = corners - np.repeat(origins[owners], lengths, axis=0)
    following = np.arange(1, len(here) + 1)
    following[starts + lengths - 1] = starts
    there = here[following]
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    doubles = np.add.reduceat(cross, starts)
    moments = np.add.reduceat(cross[:, None] * (here + there), starts)
    outer = np.r_[True, owners[1:] != owners[:-1]]
    signs = np.sign(doubles) * np.where(outer, 1, -1)
    areas = np.bincount(owners, signs * doubles / 2)
    sums = np.stack([np.bincount(owners, signs * moments[:, axis] / 6) for axis in (0, 1)], axis=1)
    flat = areas <= 0
    centres = sums / np.where(flat, 1, areas)[:, None]
    means = np.add.reduceat(here, starts)[outer] / lengths[outer, None]
    centres = origins + np.where(flat[:, None], means, centres)
    return np.column_stack([np.maximum(areas, 0), centres])
