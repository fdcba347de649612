"""Numbers of a prepared data set: what a score stands on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import Annotations, read_annotations


@dataclass(frozen=True)
class PartSummary:
    """One part of a data set.

    Attributes:
        name: "train", "val" or "test".
        images: Number of images.
        patients: Number of patients; None unless every image names its own.
        cells: Number of true cells by class.
        median_cells: Median number of true cells in an image; NaN without images.
        median_area: Median mask area of the true cells by class, pixels; NaN without cells.
    """

    name: str
    images: int
    patients: int | None
    cells: dict[str, int]
    median_cells: float
    median_area: dict[str, float]


@dataclass(frozen=True)
class DatasetSummary:
    """The parts of a data set, and what its audit says.

    Attributes:
        parts: Those whose annotation file exists, in the order train, val, test.
        facts: Remarks from the audit, such as the channel order, by name.
        warnings: From the audit, a sentence each.
    """

    parts: list[PartSummary]
    facts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def summarize_dataset(data_root: Path) -> DatasetSummary:
    """Summarize a prepared folder.

    Args:
        data_root: Folder with `annotations/` and, where data preparation wrote it, `audit.json`.

    Raises:
        ValueError: A file is not what data preparation writes.
    """
    parts = []
    for name in ("train", "val", "test"):
        path = data_root / "annotations" / f"{name}.json"
        if path.is_file():
            parts.append(summarize_part(name, read_annotations(path)))
    audit = data_root / "audit.json"
    if not audit.is_file():
        return DatasetSummary(parts)
    try:
        content = json.loads(audit.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"The audit {audit} is not JSON ({error}): prepare the data again."
        ) from error
    return DatasetSummary(parts, _facts(content), list(content.get("warnings", [])))


def summarize_part(name: str, annotations: Annotations) -> PartSummary:
    """Summarize one annotation file."""
    patients = [image.get("patient") for image in annotations.images.values()]
    known = bool(patients) and None not in patients
    areas: dict[int, list[float]] = {c: [] for c in annotations.categories}
    for cells in annotations.cells.values():
        for cell in cells:
            areas[cell["category_id"]].append(cell["area"])
    classes = annotations.categories.items()
    counts = [len(cells) for cells in annotations.cells.values()]
    return PartSummary(
        name=name,
        images=len(annotations.images),
        patients=len(set(patients)) if known else None,
        cells={class_name: len(areas[c]) for c, class_name in classes},
        median_cells=float(np.median(counts)) if counts else float("nan"),
        median_area={
            class_name: float(np.median(areas[c])) if areas[c] else float("nan")
            for c, class_name in classes
        },
    )


def _facts(audit: Mapping[str, Any]) -> dict[str, str]:
    facts = {}
    order = audit.get("channel_order", {})
    if "order" in order:
        facts["Channel order of the raw images"] = (
            f"{order['order']} ({order.get('decided_by', 'stated')})"
        )
    split = audit.get("split", {})
    if split.get("file"):
        facts["Split"] = str(split["file"])
    if split.get("groups"):
        facts["Groups that stay together in the split"] = f"{split['groups']:,}"
    return facts
