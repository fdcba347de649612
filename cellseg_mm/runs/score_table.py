"""The scores of an evaluation as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tabulate import tabulate

_COLUMNS = {
    "AP": "coco/segm_mAP{}",
    "AP50": "coco/segm_mAP_50{}",
    "AP75": "coco/segm_mAP_75{}",
    "AP@100": "coco/segm_mAP_dets100{}",
    "AP50@100": "coco/segm_mAP_50_dets100{}",
    "AP75@100": "coco/segm_mAP_75_dets100{}",
    "PQ": "cell/PQ{}",
    "F1": "cell/F1{}",
    "true": "cell/truth{}",
    "found": "cell/predicted{}",
}
"""Key of a class' score, with its name in place of the braces."""

_ALL = {"PQ": "cell/mPQ+", "F1": "cell/F1"}
"""Keys of the row "all" that do not follow from those of the classes."""

_OTHERS = ("bPQ", "AJI", "AJI+", "Dice")


def score_table(metrics: Mapping[str, float], classes: Sequence[str]) -> str:
    """Put scores into a table: a row "all", then the classes.

    AP is COCO's mask AP with up to 1,000 detections a class and image, in the columns ``@100`` with
    up to 100. PQ of "all" is mPQ+, the mean over classes; F1 of "all" takes all cells as one class.

    Args:
        metrics: What ``Runner.test`` returns.
        classes: Names of the classes.

    Returns:
        Lines of text; empty where nothing was scored. Scores that are undefined are "-".
    """
    rows = [["all", *(_cell(_of_all(metrics, classes, title)) for title in _COLUMNS)]]
    for name in classes:
        rows.append([name, *(_cell(_of_class(metrics, name, title)) for title in _COLUMNS)])
    columns = zip(["", *_COLUMNS], *rows, strict=True)
    title, *known = [column for column in columns if set(column[1:]) != {"-"}]
    if not known:
        return ""
    align = ("left", *["right"] * len(known))
    table = zip(title, *known, strict=True)
    lines = [tabulate(table, tablefmt="plain", colalign=align, disable_numparse=True)]
    others = [
        f"{name} {_cell(value)}"
        for name in _OTHERS
        if (value := metrics.get(f"cell/{name}")) is not None
    ]
    if others:
        lines.append(f"all cells as one class: {', '.join(others)}")
    return "\n".join(lines)


def _of_class(metrics: Mapping[str, float], name: str, title: str) -> float | None:
    # "s" and "50", say, are numbers of all classes; see CellCocoMetric.
    keys = (_COLUMNS[title].format(suffix) for suffix in (f"_class_{name}", f"_{name}"))
    return next((metrics[key] for key in keys if key in metrics), None)


def _of_all(metrics: Mapping[str, float], classes: Sequence[str], title: str) -> float | None:
    if title in ("true", "found"):
        counts = [_of_class(metrics, name, title) for name in classes]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None
    return metrics.get(_ALL.get(title, _COLUMNS[title].format("")))


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
