"""Matching, against one that looks at every pair."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from cellseg_mm.serve.agreement import Agreements
from cellseg_mm.serve.cell_index import CellIndex
from cellseg_mm.serve.cell_index_writer import write_index
from cellseg_mm.serve.geojson_cells import DrawnCell

SIZE = (400, 300)


def index(folder: Path, boxes: np.ndarray, names: list[str], scores: list[float]) -> CellIndex:
    cells = [
        DrawnCell(
            name,
            None,
            [np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], float)],
            {"score": score},
        )
        for (x, y, w, h), name, score in zip(boxes.tolist(), names, scores, strict=True)
    ]
    write_index(folder, cells, {}, SIZE, None)
    return CellIndex(folder)


def test_against_every_pair(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    boxes_a = np.column_stack(
        [rng.integers(0, 370, 80), rng.integers(0, 270, 80), rng.integers(5, 30, (80, 2))]
    )
    moved = boxes_a + rng.integers(-3, 4, boxes_a.shape)
    boxes_b = np.maximum(np.concatenate([moved[:60], boxes_a[:10]]), 1)
    names_a = rng.choice(["p", "q"], len(boxes_a)).tolist()
    names_b = rng.choice(["q", "p", "r"], len(boxes_b)).tolist()
    scores_a, scores_b = (rng.integers(1, 256, len(b)) / 255 for b in (boxes_a, boxes_b))
    a = index(tmp_path / "a", boxes_a, names_a, scores_a.tolist())
    b = index(tmp_path / "b", boxes_b, names_b, scores_b.tolist())

    def iou(i: int, j: int) -> float:
        one, two = (shapely.box(x, y, x + w, y + h) for x, y, w, h in (boxes_a[i], boxes_b[j]))
        return one.intersection(two).area / one.union(two).area

    agreements = Agreements()
    for least in (0.0, 0.4, 0.8):
        pairs = [
            (-iou(i, j), i, j)
            for i in range(len(boxes_a))
            for j in range(len(boxes_b))
            if min(scores_a[i], scores_b[j]) >= round(255 * least) / 255 and iou(i, j) >= 0.5
        ]
        expected: list[tuple[int, int]] = []
        for _, i, j in sorted(pairs):
            if i not in {p for p, _ in expected} and j not in {p for _, p in expected}:
                expected.append((i, j))
        found = agreements.between(("a", "b"), a, b, least)
        total = sum(int((s >= round(255 * least) / 255).sum()) for s in (scores_a, scores_b))
        assert found["matched"] == len(expected) > 0
        assert found["f1"] == pytest.approx(2 * len(expected) / total)
        # Of equally good pairs another one may be taken.
        assert sum(iou(i - 1, j - 1) for i, j in found["pairs"]) == pytest.approx(
            sum(iou(i, j) for i, j in expected)
        )
        assert found["same_class"] == sum(
            names_a[i - 1] == names_b[j - 1] for i, j in found["pairs"]
        )
        assert found["only_a"] == len(found["only_a_ids"])
        in_a = {i for i, _ in found["pairs"]} | set(found["only_a_ids"])
        in_b = {j for _, j in found["pairs"]} | set(found["only_b_ids"])
        assert len(in_a) + len(in_b) == total
        json.dumps(found)


def test_nothing_to_compare(tmp_path: Path) -> None:
    nothing = np.zeros((0, 4), int)
    a, b = (index(tmp_path / name, nothing, [], []) for name in "ab")
    found = Agreements().between(("a", "b"), a, b, 0)
    assert (found["matched"], found["f1"], found["pairs"]) == (0, None, [])
