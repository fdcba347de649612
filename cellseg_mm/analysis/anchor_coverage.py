"""Which anchors fit a data set, and the share of its boxes that a config's anchors reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from mmdet.models.task_modules import AnchorGenerator
from mmengine.config import Config

from cellseg_mm.analysis.anchor_fit import (
    AnchorLevel,
    FloatArray,
    best_anchor_ious,
    kmeans_anchors,
)
from cellseg_mm.analysis.configured_anchors import (
    configured_levels,
    generator_levels,
    network_scale,
)
from cellseg_mm.analysis.split_tables import BOX, SplitTable
from cellseg_mm.files.markdown_table import markdown_table

_STRIDES = (4, 8, 16, 32, 64)
_SCALES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0)
_RATIO_SETS = ((1.0,), (0.5, 1.0, 2.0))
_CLUSTERS = (3, 5, 9)


def anchor_coverage(table: SplitTable, config: Config | None) -> dict[str, Any]:
    """Fit anchors to a split's boxes.

    Args:
        table: The split.
        config: Config whose anchors and input size to take; without one, images keep their size and
            are padded to multiples of 32.

    Returns:
        ``clusters``: for 3, 5 and 9 clusters their (width, height) in network pixels and the mean
        IoU; ``scales``: recall of one anchor scale on the strides 4 to 64; ``configured``: recall
        of the config's anchors over all boxes and by class, or None.

    Raises:
        ValueError: The config has no anchors.
    """
    scales, padded = _network_sizes(table, config)
    image = table.cells["image"].to_numpy(int)
    boxes = table.cells[BOX].to_numpy(float) * scales[image][:, None]
    sizes = padded[image]
    sides = boxes[:, 2:] - boxes[:, :2]
    clusters = []
    for count in _CLUSTERS:
        anchors, mean_iou = kmeans_anchors(sides, count)
        clusters.append({"anchors": np.round(anchors, 1).tolist(), "mean_iou": _rounded(mean_iou)})
    tried = []
    for ratios, scale in product(_RATIO_SETS, _SCALES):
        levels = generator_levels(AnchorGenerator(_STRIDES, ratios, scales=[scale]))
        found = _recall(best_anchor_ious(boxes, sizes, levels))
        tried.append({"scale": scale, "ratios": list(ratios), **found})
    coverage: dict[str, Any] = {"clusters": clusters, "scales": tried, "configured": None}
    if config is not None:
        levels = configured_levels(config)
        ious = best_anchor_ious(boxes, sizes, levels)
        coverage["configured"] = {
            "config": config.filename,
            "sides": _level_sides(levels),
            "all": _recall(ious),
            "classes": {
                name: _recall(ious[table.cells["label"] == label])
                for label, name in enumerate(table.classes)
            },
        }
    return coverage


def anchor_markdown(coverage: Mapping[str, Any]) -> str:
    """The coverage as Markdown."""
    numbers = ["boxes", "IoU ≥ 0.5", "IoU ≥ 0.7", "mean IoU"]
    parts = [
        "## Anchors",
        "Recall: share of the boxes of the training split that overlap with some anchor of the "
        "grid by at least that IoU, at the network's input size.",
    ]
    found = coverage["configured"]
    if found is not None:
        rows = [*found["classes"].items(), ("all", found["all"])]
        parts += [
            f"Configured in {found['config']} (sides {found['sides']} px):",
            markdown_table(["class", *numbers], [_recall_row(*row) for row in rows], numbers=True),
        ]
    best = max((r["mean_iou"] or 0 for r in coverage["scales"]), default=0)
    rows = []
    for r in coverage["scales"]:
        mark = " (best)" if r["mean_iou"] == best else ""
        rows.append((f"{r['scale']:g}, {'/'.join(f'{v:g}' for v in r['ratios'])}{mark}", r))
    clusters = [
        [", ".join(f"{w:g}×{h:g}" for w, h in c["anchors"]) or "–", _number(c["mean_iou"])]
        for c in coverage["clusters"]
    ]
    parts += [
        "One scale on the strides 4, 8, 16, 32, 64:",
        markdown_table(
            ["scale, ratios", *numbers], [_recall_row(*row) for row in rows], numbers=True
        ),
        "Clusters of box sizes (k-means with the distance 1 − IoU):",
        markdown_table(["width × height, px", "mean IoU"], clusters, numbers=True),
    ]
    return "\n\n".join(parts) + "\n"


def _network_sizes(
    table: SplitTable, config: Config | None
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Scale (I,) and padded size (I, 2) of each image at the network's input."""
    image_sizes = table.images[["width", "height"]].to_numpy(int)
    if config is None:
        return np.ones(len(image_sizes)), -(-image_sizes // 32) * 32
    found = [network_scale(config, int(w), int(h)) for w, h in image_sizes]
    return np.array([scale for scale, _ in found]), np.array([size for _, size in found])


def _recall(ious: FloatArray) -> dict[str, float | int | None]:
    if not len(ious):
        return {"boxes": 0, "recall_50": None, "recall_70": None, "mean_iou": None}
    return {
        "boxes": len(ious),
        "recall_50": _rounded(float((ious >= 0.5).mean())),
        "recall_70": _rounded(float((ious >= 0.7).mean())),
        "mean_iou": _rounded(float(ious.mean())),
    }


def _level_sides(levels: Sequence[AnchorLevel]) -> str:
    """Sides of the anchors of each level, as the root of their areas."""
    sides = [np.sqrt((lv.base[:, 2:] - lv.base[:, :2]).prod(axis=1)) for lv in levels]
    return ", ".join("/".join(f"{s:.0f}" for s in np.unique(np.round(level))) for level in sides)


def _recall_row(name: str, r: Mapping[str, Any]) -> list[str]:
    shares = [_number(r[key]) for key in ("recall_50", "recall_70", "mean_iou")]
    return [name, f"{r['boxes']:,}", *shares]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
