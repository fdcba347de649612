"""Fusion of detections, with results worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cellseg_mm.models.test_time.fusion import fuse_detections
from cellseg_mm.structures.probability_masks import ProbabilityMasks
from cellseg_mm.structures.rle_masks import RLEMasks

SIZE = 40


def detections(
    boxes: list[list[float]], scores: list[float], labels: list[int], binary: bool = False
) -> InstanceData:
    """Cells that fill their boxes of 10×10 pixels."""
    tensor = torch.tensor(boxes).reshape(-1, 4).float()
    masks = ProbabilityMasks(torch.ones(len(boxes), 10, 10), tensor, SIZE, SIZE)
    return InstanceData(
        bboxes=tensor,
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks.to_rle(0.5) if binary else masks,
    )


def rectangle(x1: int, y1: int, x2: int, y2: int) -> str:
    bitmap = np.zeros((SIZE, SIZE), np.uint8)
    bitmap[y1:y2, x1:x2] = 1
    return coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()


@pytest.mark.parametrize("binary", [False, True])
def test_a_shifted_cell_is_averaged(binary: bool) -> None:
    # IoU of the two: 80 / 120. Where only one lies, the mean is 1/2.
    one = detections([[10, 10, 20, 20]], [0.8], [2], binary)
    two = detections([[12, 10, 22, 20]], [0.4], [2], binary)
    fused = fuse_detections([one, two], merge_iou=0.5, mask_threshold=0.4)
    assert fused.bboxes.tolist() == [[11, 10, 21, 20]]
    assert fused.scores.tolist() == pytest.approx([0.6])
    assert fused.labels.tolist() == [2]
    assert fused.masks.counts == [rectangle(10, 10, 22, 20)]
    strict = fuse_detections([one, two], merge_iou=0.5, mask_threshold=0.6)
    assert strict.masks.counts == [rectangle(12, 10, 20, 20)]
    apart = fuse_detections([one, two], merge_iou=0.7)
    assert apart.scores.tolist() == pytest.approx([0.4, 0.2])


@pytest.mark.parametrize("binary", [False, True])
def test_where_half_of_the_sources_see_a_cell_the_best_decides(binary: bool) -> None:
    # The worse one comes first; a third and a fourth agree with one of the two each.
    worse, better = (
        detections([box], [score], [0], binary)
        for box, score in (([12.0, 10, 22, 20], 0.4), ([10.0, 10, 20, 20], 0.8))
    )
    for sources in ([worse, better], [worse, better, worse, better]):
        assert fuse_detections(sources).masks.counts == [rectangle(10, 10, 20, 20)]
    three = fuse_detections([worse, better, worse])
    assert three.masks.counts == [rectangle(12, 10, 22, 20)]


@pytest.mark.parametrize("binary", [False, True])
def test_classes_stay_apart_and_lone_finds_sink(binary: bool) -> None:
    box, other = [5.0, 5, 15, 15], [20.0, 20, 30, 30]
    one = detections([box, box, other], [0.9, 0.8, 0.6], [0, 1, 0], binary)
    two = detections([box], [0.7], [1], binary)
    fused = fuse_detections([one, two])
    assert fused.labels.tolist() == [1, 0, 0]
    assert fused.scores.tolist() == pytest.approx([0.75, 0.45, 0.3])
    assert fused.masks.counts == [rectangle(5, 5, 15, 15)] * 2 + [rectangle(20, 20, 30, 30)]
    best = fuse_detections([one, two], max_per_image=2)
    assert best.scores.tolist() == pytest.approx([0.75, 0.45])
    assert len(best.masks) == 2


def test_a_cluster_takes_one_member_of_a_source_the_nearest() -> None:
    one = detections([[10, 10, 20, 20]], [0.9], [0])
    # Both overlap enough; the second lies nearer though its score is lower.
    two = detections([[13, 10, 23, 20], [11, 10, 21, 20]], [0.8, 0.2], [0, 0])
    fused = fuse_detections([one, two])
    assert fused.bboxes.tolist() == [[10.5, 10, 20.5, 20], [13, 10, 23, 20]]
    assert fused.scores.tolist() == pytest.approx([0.55, 0.4])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 16),
    count=st.integers(0, 25),
    copies=st.integers(1, 9),
    binary=st.booleans(),
)
def test_copies_of_one_source_give_it_back(
    seed: int, count: int, copies: int, binary: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 30
    boxes = torch.cat([corner, corner + 4 + torch.rand(count, 2, generator=generator) * 15], 1)
    masks = ProbabilityMasks(torch.rand(count, 8, 8, generator=generator), boxes, SIZE, SIZE)
    scores = (torch.rand(count, generator=generator) * 20).round() / 20  # with ties
    source = InstanceData(
        bboxes=boxes,
        scores=scores.sort(descending=True).values,
        labels=torch.randint(0, 2, (count,), generator=generator),
        masks=masks.to_rle(0.5) if binary else masks,
    )
    fused = fuse_detections([source] * copies)
    expected = masks.to_rle(0.5)
    empty = coco_mask.encode(np.zeros((SIZE, SIZE), np.uint8, order="F"))["counts"].decode()
    kept = torch.tensor([i for i, c in enumerate(expected.counts) if c != empty], dtype=torch.int64)
    assert torch.equal(fused.bboxes, source.bboxes[kept])
    assert torch.equal(fused.scores, source.scores[kept])
    assert torch.equal(fused.labels, source.labels[kept])
    assert fused.masks.counts == expected[kept].counts


def test_nothing_found() -> None:
    fused = fuse_detections([detections([], [], []), detections([], [], [])])
    assert fused.bboxes.shape == (0, 4)
    assert (len(fused.masks), fused.masks.height, fused.masks.width) == (0, SIZE, SIZE)
    assert isinstance(fused.masks, RLEMasks)


def test_what_cannot_be_fused() -> None:
    with pytest.raises(ValueError, match="at least one source"):
        fuse_detections([])
    box = [[1.0, 1, 5, 5]]
    with pytest.raises(TypeError, match="must all be"):
        fuse_detections([detections(box, [1.0], [0]), detections(box, [1.0], [0], binary=True)])
