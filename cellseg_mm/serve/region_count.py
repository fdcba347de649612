"""Cells in a region that a user drew."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from cellseg_mm.errors import UserError
from cellseg_mm.inference.region_of_interest import RegionOfInterest
from cellseg_mm.serve.cell_index import CellIndex
from cellseg_mm.serve.job import Job
from cellseg_mm.serve.request_error import RequestError

_MOST_CORNERS = 10_000


def count_in_region(job: Job, cells: CellIndex, corners: Any, min_score: float) -> dict[str, Any]:
    """Count the cells whose centre lies in a polygon.

    Args:
        job: The job.
        cells: Its cells.
        corners: [[x, y], …], pixels of the full image; the last is joined to the first.
        min_score: Cells below it are left out.

    Returns:
        ``cells``; ``classes``, a number each; ``area_px`` and ``area_mm2`` (None without a scale)
        of what lies inside the image.

    Raises:
        RequestError: This is no polygon.
    """
    try:
        ring = np.array(corners, np.float64)
        if ring.ndim != 2 or ring.shape[1] != 2 or not 3 <= len(ring) <= _MOST_CORNERS:
            raise UserError(f"it has the shape {list(ring.shape)}")
        if not np.isfinite(ring).all():
            raise UserError("a number is not finite")
        region = RegionOfInterest([shapely.Polygon(ring)], "The region")
    except (ValueError, TypeError) as error:
        raise RequestError(
            400,
            f"The polygon must be [[x, y], …] with 3 to {_MOST_CORNERS:,} corners and an area "
            f"({error}).",
        ) from error
    points = cells.points
    x1, y1 = ring.min(axis=0)
    x2, y2 = ring.max(axis=0)
    near = cells.shown(min_score)
    near &= (points["x"] >= x1) & (points["x"] <= x2) & (points["y"] >= y1) & (points["y"] <= y2)
    candidates = points[near]
    inside = candidates[region.contains(candidates["x"], candidates["y"])]
    numbers = np.bincount(inside["class"], minlength=len(cells.classes))
    area = region.area_within(job.width, job.height)
    return {
        "cells": len(inside),
        "classes": dict(zip(cells.classes, numbers.tolist(), strict=True)),
        "area_px": area,
        "area_mm2": None if job.scale is None else area * job.scale[0] * job.scale[1] / 1e6,
    }
