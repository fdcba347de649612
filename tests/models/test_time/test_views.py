"""Views and the way back, against NumPy on bitmaps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from cellseg_mm.models.test_time.views import VIEWS, View, resize_image
from cellseg_mm.structures.probability_masks import ProbabilityMasks

# The eight symmetries of a square as NumPy has them.
SYMMETRIES = [
    lambda a, k=k, f=f: np.rot90(np.fliplr(a) if f else a, k)
    for f in (False, True)
    for k in range(4)
]


def test_the_views_are_the_eight_symmetries() -> None:
    image = np.arange(6).reshape(2, 3)
    expected = {s(image).tobytes() + bytes(s(image).shape) for s in SYMMETRIES}
    seen = [view.apply(torch.as_tensor(image)).numpy() for view in VIEWS["dihedral"]]
    assert {s.tobytes() + bytes(s.shape) for s in seen} == expected
    assert len(expected) == len(seen) == 8
    flips = [view.apply(torch.as_tensor(image)).tolist() for view in VIEWS["flips"]]
    assert flips == [
        [[0, 1, 2], [3, 4, 5]],
        [[3, 4, 5], [0, 1, 2]],
        [[2, 1, 0], [5, 4, 3]],
        [[5, 4, 3], [2, 1, 0]],
    ]


@settings(max_examples=60, deadline=None)
@given(
    view=st.sampled_from(VIEWS["dihedral"]),
    height=st.integers(4, 12),
    width=st.integers(4, 12),
    seed=st.integers(0, 1 << 16),
)
def test_what_is_seen_in_a_view_comes_back_to_its_place(
    view: View, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    box_h, box_w = rng.integers(1, [height, width])
    y, x = rng.integers(0, [height - box_h, width - box_w])
    image = torch.zeros(height, width)
    grid = torch.as_tensor(rng.random((box_h, box_w))).float() + 0.1
    image[y : y + box_h, x : x + box_w] = grid
    seen = view.apply(image)
    rows, columns = seen.nonzero(as_tuple=True)
    top, left = rows.min(), columns.min()
    bottom, right = rows.max() + 1, columns.max() + 1
    boxes = torch.stack([left, top, right, bottom])[None].float()
    masks = ProbabilityMasks(seen[None, top:bottom, left:right], boxes, *seen.shape)
    found = InstanceData(bboxes=boxes, scores=torch.ones(1), labels=torch.zeros(1), masks=masks)
    back = view.undo(found)
    assert torch.equal(back.masks.grids[0], grid)
    assert back.bboxes.tolist() == [[x, y, x + box_w, y + box_h]]
    assert back.masks.boxes.tolist() == back.bboxes.tolist()
    assert (back.masks.height, back.masks.width) == (height, width)


@pytest.mark.parametrize(("scale", "size"), [(2.0, (8, 14)), (0.5, (2, 4)), (0.01, (1, 1))])
def test_sizes_of_scales(scale: float, size: tuple[int, int]) -> None:
    assert resize_image(torch.zeros(3, 4, 7, dtype=torch.uint8), scale).shape[-2:] == size


def test_shrinking_averages_and_scale_one_changes_nothing() -> None:
    stripes = torch.tensor([0, 200] * 8, dtype=torch.uint8).expand(3, 16, 16)
    assert resize_image(stripes, 1.0) is stripes
    inner = resize_image(stripes, 0.25)[:, 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 100.0), atol=8, rtol=0)
