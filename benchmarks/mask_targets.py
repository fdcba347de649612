"""Mask targets of a training step: stock ``FCNMaskHead`` on bitmaps against ``CellMaskHead``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from dense_scene import DenseScene, prepared_scene, synthetic_scene
from measurement import Measurement, Target, require, time_both
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from cellseg_mm.models.cell_mask_head import CellMaskHead

STAGE = "mask targets"
POSITIVES = 128


def both_seconds(scene: DenseScene, repeats: int) -> tuple[float, float]:
    """Seconds of both sides for one image."""
    generator = torch.Generator().manual_seed(0)
    truth = scene.masks.get_bboxes().tensor
    chosen = torch.randint(len(truth), (POSITIVES,), generator=generator)
    # A positive box overlaps its truth by half or more: a tenth of the size off is about that.
    size = (truth[:, 2:] - truth[:, :2])[chosen].repeat(1, 2)
    boxes = truth[chosen] + 0.1 * size * torch.randn(POSITIVES, 4, generator=generator)
    sampled = [InstanceData(pos_priors=boxes, pos_assigned_gt_inds=chosen)]
    config = ConfigDict(mask_size=28)
    stock = partial(
        FCNMaskHead(num_classes=4).get_targets,
        sampled,
        [InstanceData(masks=scene.bitmap_masks())],
        config,
    )
    ours = partial(
        CellMaskHead(num_classes=4).get_targets, sampled, [InstanceData(masks=scene.masks)], config
    )
    require(torch.equal(stock(), ours()), "mask targets")
    return time_both(stock, ours, repeats)


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long."""
    target = Target("ratio", "at least", 50)
    scenes = [("", synthetic_scene(*((512, 100) if quick else (1000, 800))))]
    if data is not None and not quick:
        scenes.append((" (real)", prepared_scene(data, 800)))
    rows = []
    for suffix, scene in scenes:
        rows.append(
            Measurement(
                STAGE,
                f"{POSITIVES} positives, {scene.name}{suffix}",
                "s",
                *both_seconds(scene, repeats=3),
                None if quick else target,
            )
        )
    for cells in (50, 200) if quick else (50, 200, 800, 2000):
        rows.append(_point("cells", cells, synthetic_scene(1000, cells)))
    for side in (256, 512) if quick else (256, 512, 1000, 1500):
        rows.append(_point("side", side, synthetic_scene(side, 60)))
    return rows


def _point(curve: Literal["cells", "side"], x: int, scene: DenseScene) -> Measurement:
    stock, ours = both_seconds(scene, repeats=2)
    return Measurement(STAGE, scene.name, "s", stock, ours, curve=curve, x=x)
