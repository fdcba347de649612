"""Training data whose images are not annotated for all classes, found and honoured by itself."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.runs.spread_setting import mappings

PARTIAL_LABEL_HEADS = {
    "StandardRoIHead": "PartialLabelRoIHead",
    "CellRoIHead": "PartialLabelRoIHead",
    "CascadeRoIHead": "PartialLabelCascadeRoIHead",
    "HybridTaskCascadeRoIHead": "PartialLabelHTCRoIHead",
    "Shared2FCBBoxHead": "PartialLabelBBoxHead",
}
"""Heads that know of partial labels, by the stock heads that they equal but for that."""


def use_partial_labels(config: Config) -> dict[str, list[str]]:
    """Let a training honour what its images are annotated for; in place.

    A config whose images are all annotated for all classes stays as it is.

    Args:
        config: The config of a training.

    Returns:
        The classes that some images lack, by annotation file.

    Raises:
        UserError: There are such images, and the network has heads that cannot honour it.
    """
    lacking: dict[str, list[str]] = {}
    loader = config.train_dataloader
    for node in mappings(loader):
        if isinstance(node.get("ann_file"), str):
            path = Path(node.get("data_root") or "", node["ann_file"])
            if missing := _unannotated(path, (node.get("metainfo") or {}).get("classes")):
                lacking[str(path)] = missing
    if not lacking:
        return {}
    for head in (config.model.roi_head, *mappings(config.model.roi_head.bbox_head)):
        kind = head.get("type")
        if kind is None or ("Head" not in kind or kind in PARTIAL_LABEL_HEADS.values()):
            continue
        if kind not in PARTIAL_LABEL_HEADS:
            raise UserError(
                f"{next(iter(lacking))} has images that are not annotated for all classes, which "
                f"{kind} does not honour: use one of {', '.join(PARTIAL_LABEL_HEADS)}."
            )
        head["type"] = PARTIAL_LABEL_HEADS[kind]
    from mmdet.datasets.transforms import PackDetInputs

    usual = inspect.signature(PackDetInputs).parameters["meta_keys"].default
    for node in mappings(loader):
        if node.get("type") == "PackDetInputs":
            node["meta_keys"] = tuple(dict.fromkeys([*node.get("meta_keys", usual), "unannotated"]))
    return lacking


def _unannotated(path: Path, classes: Any) -> list[str]:
    """Classes that some image of an annotation file lacks, in their order."""
    content = read_coco_file(path)
    names = {c["id"]: c["name"] for c in content["categories"]}
    lists = [
        i["annotated_category_ids"] for i in content["images"] if "annotated_category_ids" in i
    ]
    return [
        name
        for key, name in names.items()
        if (classes is None or name in classes) and not all(key in found for found in lists)
    ]
