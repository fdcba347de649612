"""mmcv's operators on torchvision's kernels, against plain torch."""

from __future__ import annotations

import math
import sys

import mmcv.ops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cellseg_mm.ops import mmcv_ext


def reference_roi_align(
    features: Tensor, rois: Tensor, out: int, scale: float, ratio: int, aligned: bool
) -> Tensor:
    """RoIAlign by its definition, one sample at a time; differentiable."""
    _, channels, height, width = features.shape
    rows = []
    for roi in rois:
        image = features[int(roi[0])]
        offset = 0.5 if aligned else 0.0
        x1, y1, x2, y2 = (float(v) * scale - offset for v in roi[1:])
        roi_w, roi_h = x2 - x1, y2 - y1
        if not aligned:
            roi_w, roi_h = max(roi_w, 1.0), max(roi_h, 1.0)
        bin_w, bin_h = roi_w / out, roi_h / out
        grid_w = ratio or math.ceil(bin_w)
        grid_h = ratio or math.ceil(bin_h)
        cells = []
        for row in range(out):
            for column in range(out):
                total = features.new_zeros(channels)
                for iy in range(grid_h):
                    for ix in range(grid_w):
                        y = y1 + row * bin_h + (iy + 0.5) * bin_h / grid_h
                        x = x1 + column * bin_w + (ix + 0.5) * bin_w / grid_w
                        if not (-1 <= y <= height and -1 <= x <= width):
                            continue
                        y, x = max(y, 0.0), max(x, 0.0)
                        top, left = min(int(y), height - 1), min(int(x), width - 1)
                        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
                        ly = y - top if top < height - 1 else 0.0
                        lx = x - left if left < width - 1 else 0.0
                        total = total + (
                            image[:, top, left] * (1 - ly) * (1 - lx)
                            + image[:, top, right] * (1 - ly) * lx
                            + image[:, bottom, left] * ly * (1 - lx)
                            + image[:, bottom, right] * ly * lx
                        )
                cells.append(total / max(grid_h * grid_w, 1))
        rows.append(torch.stack(cells, 1).view(channels, out, out))
    return torch.stack(rows)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_forward_and_backward(aligned: bool, ratio: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 12, 15, generator=generator, dtype=torch.float64)
    rois = torch.tensor(
        [
            [0, 1.3, 2.1, 17.9, 20.2],
            [1, -4.0, -3.0, 9.0, 30.5],  # over the border
            [1, 20.0, 5.0, 20.4, 5.3],  # smaller than a pixel
            [0, 0.0, 0.0, 30.0, 24.0],
        ],
        dtype=torch.float64,
    )
    weights = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64)
    results = []
    for function in (
        lambda x: mmcv.ops.roi_align(x, rois, 3, 0.5, ratio, "avg", aligned),
        lambda x: reference_roi_align(x, rois, 3, 0.5, ratio, aligned),
    ):
        leaf = features.clone().requires_grad_()
        output = function(leaf)
        (output * weights).sum().backward()
        results.append((output.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)


def test_roi_align_of_half_precision_keeps_coordinates_exact() -> None:
    # In bfloat16 the coordinate 1001 would become 1000.
    features = torch.arange(1010.0).expand(1, 1, 4, 1010).to(torch.bfloat16)
    roi = torch.tensor([[0, 1001.0, 0.0, 1003.0, 2.0]])
    output = mmcv.ops.roi_align(features, roi, 1, 1.0, 1, "avg", True)
    assert output.dtype == torch.bfloat16
    expected = reference_roi_align(features.float(), roi, 1, 1.0, 1, True)
    assert output.float().item() == expected.to(torch.bfloat16).float().item()


def reference_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda i: -scores[i].item())
    kept: list[int] = []
    for i in order:
        for j in kept:
            x1, y1 = torch.maximum(boxes[i, :2], boxes[j, :2])
            x2, y2 = torch.minimum(boxes[i, 2:], boxes[j, 2:])
            inter = max(x2 - x1 + offset, 0.0) * max(y2 - y1 + offset, 0.0)
            sides_i = boxes[i, 2:] - boxes[i, :2] + offset
            sides_j = boxes[j, 2:] - boxes[j, :2] + offset
            if inter / (sides_i.prod() + sides_j.prod() - inter) > threshold:
                break
        else:
            kept.append(i)
    return kept


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(0, 25),
    threshold=st.sampled_from([0.2, 0.5, 0.7]),
    offset=st.sampled_from([0, 1]),
    seed=st.integers(0, 1 << 16),
)
def test_nms(count: int, threshold: float, offset: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 15 + 1], 1)
    scores = torch.rand(count, generator=generator)
    _, kept = mmcv.ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == reference_nms(boxes, scores, threshold, offset)


def reference_soft_nms(
    boxes: list[list[float]],
    scores: list[float],
    method: str,
    threshold: float,
    sigma: float,
    min_score: float,
    offset: int,
) -> list[tuple[int, float]]:
    """Indices and new scores by the definition, a pair of boxes at a time."""
    rest = dict(enumerate(scores))
    kept = []
    while rest:
        best = max(rest, key=lambda i: rest[i])
        kept.append((best, rest.pop(best)))
        for i in list(rest):
            a, b = boxes[i], boxes[best]
            w = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
            h = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
            area = sum((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
            iou = w * h / (area - w * h)
            if method == "gaussian":
                rest[i] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                rest[i] *= 1 - iou if method == "linear" else 0
            if rest[i] < min_score:
                del rest[i]
    return kept


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 25),
    method=st.sampled_from(["naive", "linear", "gaussian"]),
    threshold=st.sampled_from([0.3, 0.5]),
    sigma=st.sampled_from([0.3, 0.5]),
    offset=st.sampled_from([0, 1]),
    seed=st.integers(0, 1 << 16),
)
def test_soft_nms(
    count: int, method: str, threshold: float, sigma: float, offset: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 15 + 1], 1)
    scores = torch.rand(count, generator=generator)
    found, kept = mmcv.ops.soft_nms(boxes, scores, threshold, sigma, 0.05, method, offset)
    expected = reference_soft_nms(
        boxes.tolist(), scores.tolist(), method, threshold, sigma, 0.05, offset
    )
    assert kept.tolist() == [index for index, _ in expected]
    assert torch.equal(found[:, :4], boxes[kept])
    assert found[:, 4].tolist() == pytest.approx([score for _, score in expected], rel=1e-5)


@pytest.mark.parametrize("split_thr", [10_000, 10])
def test_soft_nms_by_class_together_and_apart(split_thr: int) -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(60, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + 10], 1)
    scores = torch.rand(60, generator=generator)
    labels = torch.arange(60) % 3
    config = {"type": "soft_nms", "iou_threshold": 0.5, "min_score": 0.05, "split_thr": split_thr}
    found, kept = mmcv.ops.batched_nms(boxes, scores, labels, config)
    expected = []
    for label in range(3):
        indices = (labels == label).nonzero()[:, 0].tolist()
        of_class = reference_soft_nms(
            boxes[indices].tolist(), scores[indices].tolist(), "linear", 0.5, 0.5, 0.05, 0
        )
        expected += [(score, indices[i]) for i, score in of_class]
    expected.sort(reverse=True)
    assert kept.tolist() == [index for _, index in expected]
    assert found[:, 4].tolist() == pytest.approx([score for score, _ in expected], rel=1e-5)
    assert torch.equal(found[:, :4], boxes[kept])


@pytest.mark.skipif(
    sys.modules["mmcv._ext"].__file__ != mmcv_ext.__file__, reason="this mmcv is compiled"
)
def test_another_operator_names_itself_and_the_way_out() -> None:
    boxes, scores = torch.rand(3, 4), torch.rand(3)
    with pytest.raises(NotImplementedError, match=r"'nms_match'.*MMCV_WITH_OPS"):
        mmcv.ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.5)
    with pytest.raises(NotImplementedError, match="pool_mode='max'"):
        mmcv.ops.roi_align(torch.rand(1, 1, 4, 4), torch.rand(1, 5), 2, 1.0, 1, "max", True)
