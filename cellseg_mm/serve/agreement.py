"""Which cells two jobs on one image have in common."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from cellseg_mm.serve.cell_index import CellIndex

MIN_IOU = 0.5
"""Least intersection over union of a pair."""

_KEPT = 8


class Pairs(NamedTuple):
    """Cells of A and of B that overlap enough, the best pairs first.

    Attributes:
        a: (K,) positions of the cells of A.
        b: (K,) positions of the cells of B.
    """

    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]


class Agreements:
    """Compares jobs; what takes long is kept for other least scores of the same two."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Pairs] = OrderedDict()
        self._lock = threading.Lock()

    def between(
        self, names: tuple[str, str], a: CellIndex, b: CellIndex, min_score: float
    ) -> dict[str, Any]:
        """Match cells one to one by falling IoU, from 0.5 on.

        Args:
            names: Ids of the two jobs.
            a: Cells of the first.
            b: Cells of the second.
            min_score: Cells below it are left out.

        Returns:
            Counts, F1 (None without cells), ids of pairs, and of cells without one.
        """
        with self._lock:
            pairs = self._known.get(names)
            if pairs is None:
                pairs = overlapping_pairs(a.outlines(), b.outlines())
                self._known[names] = pairs
            self._known.move_to_end(names)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        shown_a, shown_b = a.shown(min_score), b.shown(min_score)
        matched = one_to_one(pairs, shown_a, shown_b)
        of_a, of_b = matched.a, matched.b
        alone_a, alone_b = shown_a.copy(), shown_b.copy()
        alone_a[of_a] = alone_b[of_b] = False
        classes_a, classes_b = np.array(list(a.classes)), np.array(list(b.classes))
        same = classes_a[a.points["class"][of_a]] == classes_b[b.points["class"][of_b]]
        total = int(shown_a.sum() + shown_b.sum())
        return {
            "matched": len(of_a),
            "only_a": int(alone_a.sum()),
            "only_b": int(alone_b.sum()),
            "f1": 2 * len(of_a) / total if total else None,
            "same_class": int(np.sum(same)),
            "pairs": (np.stack([of_a, of_b], axis=1) + 1).tolist(),
            "only_a_ids": (np.flatnonzero(alone_a) + 1).tolist(),
            "only_b_ids": (np.flatnonzero(alone_b) + 1).tolist(),
        }


def overlapping_pairs(
    a: Sequence[npt.NDArray[np.float32]], b: Sequence[npt.NDArray[np.float32]]
) -> Pairs:
    """Pairs of outlines whose IoU is at least ``MIN_IOU``."""
    shapes_a, shapes_b = _polygons(a), _polygons(b)
    of_a, of_b = shapely.STRtree(shapes_b).query(shapes_a)
    shared = shapely.area(shapely.intersection(shapes_a[of_a], shapes_b[of_b]))
    union = shapely.area(shapes_a)[of_a] + shapely.area(shapes_b)[of_b] - shared
    iou = shared / np.maximum(union, np.finfo(float).tiny)
    order = np.argsort(-iou, kind="stable")
    order = order[iou[order] >= MIN_IOU]
    return Pairs(of_a[order], of_b[order])


def one_to_one(
    pairs: Pairs, shown_a: npt.NDArray[np.bool_], shown_b: npt.NDArray[np.bool_]
) -> Pairs:
    """Keep the best pair of each cell, of those that are shown."""
    free_a, free_b = shown_a.copy(), shown_b.copy()
    kept = []
    for place, (i, j) in enumerate(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)):
        if free_a[i] and free_b[j]:
            free_a[i] = free_b[j] = False
            kept.append(place)
    chosen = np.array(sorted(kept, key=lambda place: pairs.a[place]), np.int64)
    return Pairs(pairs.a[chosen], pairs.b[chosen])


def _polygons(outlines: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[Any]:
    if not outlines:
        return np.zeros(0, object)
    corners = np.concatenate(outlines).astype(np.float64)
    owners = np.repeat(np.arange(len(outlines)), [len(ring) for ring in outlines])
    polygons = shapely.polygons(shapely.linearrings(corners, indices=owners))  # closes each ring
    return np.asarray(shapely.make_valid(polygons))
