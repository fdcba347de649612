"""The outline of a mask along the edges of its pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.int32]
"""(N, 2), x and y of the corners, each given once."""


def polygon(bitmap: npt.NDArray[np.bool_], left: int, top: int) -> list[Ring]:
    """Trace a mask exactly: pixel (x, y) is the square from (x, y) to (x + 1, y + 1).

    Args:
        bitmap: (h, w) bool, one piece of 4 neighbours.
        left: Column of the bitmap's left edge, pixels.
        top: Row of the bitmap's upper edge, pixels.

    Returns:
        The outline, then that of each hole: a valid polygon, whose area is the mask's.
    """
    # At twice the size, the two pixels along an edge tell on which side of them the edge is.
    doubled = bitmap.view(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(
        doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(2 * left, 2 * top)
    )
    rings = [_ring(contour[:, 0]) for contour in contours]
    if len(rings) > 1:
        outer = next(i for i, (*_, parent) in enumerate(hierarchy[0].tolist()) if parent < 0)
        rings = [rings.pop(outer), *rings]
    return rings


def _ring(contour: npt.NDArray[np.int32]) -> Ring:
    """Corners of a contour of the doubled mask, on the pixels' edges."""
    corners = (contour + 1) >> 1
    new = np.ones(len(corners), bool)
    new[1:] = (corners[1:] != corners[:-1]).any(axis=1)
    new[0] = (corners[0] != corners[-1]).any()
    return corners[new]
