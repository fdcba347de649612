"""Predicted masks to COCO RLE: stock paste + pycocotools against the box-local paste."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from measurement import Measurement, Target, require, time_both
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from peak_memory import available_bytes, peak_extra_bytes

from cellseg_mm.models.cell_mask_head import CellMaskHead

STAGE = "paste + encode"


def stock_work(detections: int, side: int) -> Callable[[], list[str]]:
    """Stock MMDetection: an (N, H, W) canvas, then pycocotools."""
    inputs = _head_inputs(detections, side)
    head = FCNMaskHead(num_classes=4)

    def work() -> list[str]:
        logits, boxes, *rest = inputs
        masks = head._predict_by_feat_single(logits, boxes.clone(), *rest)
        return [rle["counts"].decode() for rle in encode_mask_results(masks.numpy())]

    return work


def our_work(detections: int, side: int) -> Callable[[], list[str]]:
    """This project: runs inside the boxes."""
    inputs = _head_inputs(detections, side)
    head = CellMaskHead(num_classes=4)

    def work() -> list[str]:
        logits, boxes, *rest = inputs
        counts: list[str] = head._predict_by_feat_single(logits, boxes.clone(), *rest).counts
        return counts

    return work


def measured_work(side_name: str, detections: int, side: int) -> Callable[[], str]:
    """The work of "stock" or "ours", which gives a checksum of its strings."""
    work = {"stock": stock_work, "ours": our_work}[side_name](detections, side)
    # Small, so that memory which any first call takes for good does not count.
    {"stock": stock_work, "ours": our_work}[side_name](5, 64)()
    return lambda: hashlib.sha256("\n".join(work()).encode()).hexdigest()


def _head_inputs(detections: int, side: int) -> tuple[Any, ...]:
    """Smooth random logits and boxes of the size of cells, a few of them at the border."""
    generator = torch.Generator().manual_seed(0)
    size = torch.rand(detections, 2, generator=generator) * 30 + 10
    corner = torch.rand(detections, 2, generator=generator) * side - 10
    boxes = torch.cat([corner, corner + size], dim=1).clamp(0, side)
    coarse = torch.randn(detections, 4, 7, 7, generator=generator)
    logits = 3 * F.interpolate(coarse, size=28, mode="bilinear") + 1
    labels = torch.randint(4, (detections,), generator=generator)
    meta = {"scale_factor": (1.0, 1.0), "ori_shape": (side, side)}
    return logits, boxes, labels, meta, ConfigDict(mask_thr_binary=0.5), True


def both_seconds(detections: int, side: int, repeats: int) -> tuple[float, float]:
    """Seconds of both sides."""
    stock, ours = stock_work(detections, side), our_work(detections, side)
    require(stock() == ours(), "RLE strings")
    return time_both(stock, ours, repeats)


def both_peaks(detections: int, side: int) -> tuple[float | None, float]:
    """Peak extra bytes of both sides; no stock where its canvas does not fit into memory."""
    ours, our_sum = peak_extra_bytes(measured_work, "ours", detections, side)
    free = available_bytes()
    if free is not None and 1.5 * detections * side * side > free:
        return None, ours
    stock, stock_sum = peak_extra_bytes(measured_work, "stock", detections, side)
    require(stock_sum == our_sum, "RLE strings")
    return stock, ours


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long. ``data`` is unused."""
    detections, side, large = (100, 512, 512) if quick else (1000, 1000, 2000)
    rows = [
        Measurement(
            STAGE,
            f"{detections:,} detections, {side}×{side}",
            "s",
            *both_seconds(detections, side, repeats=2),
            None if quick else Target("ratio", "at least", 20),
        ),
        Measurement(
            f"{STAGE}, peak extra memory",
            f"{detections:,} detections, {large}×{large}",
            "bytes",
            *both_peaks(detections, large),
            Target("ours", "at most", 150e6),
        ),
    ]
    for count in (50, 200) if quick else (50, 200, 800, 2000):
        rows.append(_point("cells", count, count, 1000))
    for length in (256, 512) if quick else (256, 512, 1000, 1500):
        rows.append(_point("side", length, 200, length))
    return rows


def _point(curve: Literal["cells", "side"], x: int, detections: int, side: int) -> Measurement:
    workload = f"{side}×{side}, {detections:,} detections"
    stock, ours = both_seconds(detections, side, repeats=1)
    return Measurement(STAGE, workload, "s", stock, ours, curve=curve, x=x)
