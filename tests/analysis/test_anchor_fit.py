"""Anchors: the closed form against MMDetection's whole grid, clusters against known groups."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules import AnchorGenerator
from torchvision.ops import box_iou

from cellseg_mm.analysis.anchor_fit import best_anchor_ious, kmeans_anchors
from cellseg_mm.analysis.configured_anchors import generator_levels

STRIDES = [4, 8, 16]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([0.0, 0.5]),
)
def test_against_the_whole_grid(seed, width, height, center_offset):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, (width, height), (5, 2, 2)), axis=1)
    boxes = corners.reshape(5, 4)
    generator = AnchorGenerator(
        STRIDES, [0.5, 1.0, 2.0], scales=[2, 3], center_offset=center_offset
    )
    grid = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    anchors = torch.cat(generator.grid_priors(grid, device="cpu")).double()
    expected = box_iou(torch.from_numpy(boxes), anchors).max(dim=1).values.numpy()

    sizes = np.tile((width, height), (5, 1))
    found = best_anchor_ious(boxes, sizes, generator_levels(generator))

    assert found == pytest.approx(expected, abs=1e-6)


def test_kmeans_finds_the_groups():
    groups = np.repeat([[10.0, 20.0], [30.0, 30.0], [8.0, 8.0]], [5, 7, 9], axis=0)
    anchors, mean_iou = kmeans_anchors(groups, 3)

    assert anchors.tolist() == [[8, 8], [10, 20], [30, 30]]
    assert mean_iou == pytest.approx(1)


def test_kmeans_with_fewer_sizes_than_clusters():
    anchors, _ = kmeans_anchors([[4, 4], [4, 4]], 3)
    assert anchors.tolist() == [[4, 4]]
    assert kmeans_anchors(np.zeros((0, 2)), 3)[0].shape == (0, 2)


def test_one_cluster_by_hand():
    # The medians are 4 × 2; the IoUs are 2·2 / 8 = 0.5, 1 and 4·2 / (8 · 2) = 0.5.
    anchors, mean_iou = kmeans_anchors([[2, 2], [4, 2], [8, 2]], 1)
    assert anchors.tolist() == [[4, 2]]
    assert mean_iou == pytest.approx(2 / 3)
