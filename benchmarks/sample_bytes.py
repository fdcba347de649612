"""Pickled size of one training sample: what a loader's worker hands to the training process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from dense_scene import DenseScene, prepared_scene, synthetic_scene
from measurement import Measurement, Target, require
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.mask import BitmapMasks

from cellseg_mm.structures.label_map_masks import LabelMapMasks

STAGE = "one training sample, pickled"


def packed_bytes(scene: DenseScene, masks: LabelMapMasks | BitmapMasks, check: bool = False) -> int:
    """Bytes of the packed sample; with ``check``, all its masks must survive the way."""
    packed: dict[str, Any] = PackDetInputs()(scene.sample(masks))
    pickled = pickle.dumps(packed, pickle.HIGHEST_PROTOCOL)
    if check:
        received = pickle.loads(pickled)["data_samples"].gt_instances.masks
        for mask, original in zip(received, masks, strict=True):
            require(np.array_equal(mask, original), "masks after pickling")
    return len(pickled)


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long."""
    target = Target("ratio", "at least", 100)
    scenes = [("", synthetic_scene(*((512, 100) if quick else (1000, 800))))]
    if data is not None and not quick:
        scenes.append((" (real)", prepared_scene(data, 800)))
    rows = []
    for suffix, scene in scenes:
        stock = packed_bytes(scene, scene.bitmap_masks())
        ours = packed_bytes(scene, scene.masks, check=True)
        rows.append(
            Measurement(STAGE, scene.name + suffix, "bytes", stock, ours, None if quick else target)
        )
    for cells in (50, 200) if quick else (50, 200, 800, 2000):
        scene = synthetic_scene(1000, cells)
        stock = packed_bytes(scene, scene.bitmap_masks())
        ours = packed_bytes(scene, scene.masks)
        rows.append(
            Measurement("sample size", scene.name, "bytes", stock, ours, curve="cells", x=cells)
        )
    return rows
