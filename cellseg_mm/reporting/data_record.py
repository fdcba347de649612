"""What a report says of its data set: the numbers of its parts, and its audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import Annotations, read_annotations
from cellseg_mm.preparation.dataset_statistics import statistics
from cellseg_mm.preparation.prepared_folder import AUDIT_FILE


@dataclass(frozen=True)
class DataRecord:
    """The parts of a data set, and what its audit says.

    Attributes:
        parts: Those whose annotation file exists, in the order train, val, test; see
            :func:`part_statistics`.
        facts: Remarks from the audit, such as the channel order, by name.
        warnings: From the audit, a sentence each.
    """

    parts: dict[str, dict[str, Any]]
    facts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_data_record(data_root: Path) -> DataRecord:
    """Describe a prepared folder: `annotations/` and, where there is one, `audit.json`.

    Raises:
        ValueError: A file is not what data preparation writes.
    """
    paths = {part: data_root / "annotations" / f"{part}.json" for part in ("train", "val", "test")}
    parts = {
        part: part_statistics(read_annotations(path))
        for part, path in paths.items()
        if path.is_file()
    }
    audit = data_root / AUDIT_FILE
    if not audit.is_file():
        return DataRecord(parts)
    try:
        content = json.loads(audit.read_text(encoding="utf-8"))
        return DataRecord(parts, _facts(content), list(content.get("warnings", [])))
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"The audit {audit} is not JSON of data_prep/prepare.py ({error}): prepare the data "
            "again."
        ) from error


def part_statistics(annotations: Annotations) -> dict[str, Any]:
    """One annotation file in numbers.

    Returns:
        What :func:`cellseg_mm.preparation.dataset_statistics.statistics` says, and `patients`, None
        unless every image names its own.
    """
    images = pd.DataFrame(annotations.images.values(), columns=["height", "width", "patient"])
    label = {category: number for number, category in enumerate(annotations.categories)}
    cells = [
        (number, label[cell["category_id"]], cell["area"], float("nan"))  # sides are not shown
        for number, records in enumerate(annotations.cells.values())
        for cell in records
    ]
    known = len(images) and images["patient"].notna().all()
    return statistics(
        images.assign(with_truth=True),
        pd.DataFrame(cells, columns=["image", "label", "area", "box_side"]),
        list(annotations.categories.values()),
    ) | {"patients": images["patient"].nunique() if known else None}


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
