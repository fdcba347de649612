"""The data of the image browser: images with their true and predicted cells and verdicts.

Masks travel as COCO's run-length strings, some 60 bytes a cell; the page decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cellseg_mm.analysis.errors.error_analysis import ErrorAnalysis
from cellseg_mm.analysis.errors.error_kinds import CellError, ErrorKind
from cellseg_mm.analysis.errors.image_matches import ImageMatches
from cellseg_mm.evaluation.annotations import Annotations
from cellseg_mm.evaluation.predictions import Prediction
from cellseg_mm.files.rgb_file import read_rgb
from cellseg_mm.reporting.image_files import jpeg_data_uri
from cellseg_mm.structures.palette import class_colour

FOUND = "found"
"""What a prediction is that is not an error."""

KIND_COLOURS = {
    FOUND: "#3fbf56",
    str(ErrorKind.WRONG_CLASS): "#ff8a00",
    str(ErrorKind.POOR_OUTLINE): "#ffe14d",
    str(ErrorKind.DUPLICATE): "#8f6bff",
    str(ErrorKind.BACKGROUND): "#e8352b",
    str(ErrorKind.MISSED): "#00c8ff",
}
"""Bright: they lie on stained tissue, purple and pink."""

Image = TypeVar("Image")

_LONGEST_SIDE = 1600
_PIXELS_OF_ALL = 9e6
"""Images are reduced so that all of them together stay below this: about 6 MB as JPEG."""


def choose_images(ranked: Sequence[Image], number: int) -> list[Image]:
    """Choose from images, worst first: half of them the worst, the rest evenly up to the best."""
    if number >= len(ranked):
        return list(ranked)
    worst = (number + 1) // 2
    rest = np.linspace(worst, len(ranked) - 1, number - worst + 1)[1:].round().astype(int)
    return [*ranked[:worst], *(ranked[i] for i in rest)]


def browser_data(
    chosen: Sequence[ImageMatches],
    analysis: ErrorAnalysis,
    annotations: Annotations,
    predictions: Sequence[Prediction],
    data_root: Path,
) -> dict[str, Any]:
    """Collect what the browser shows of the chosen images, which lie in `data_root/images`.

    Returns:
        For JSON: `classes` and `kinds`, each a list of {name, colour}, and `images`, a list of
        {name, width, height, pq, source, truth, predictions}. True cells are lists [class, kind,
        counts], predictions [class, kind, counts, score, greatest IoU with a true cell]; class and
        kind are positions in the lists. The kind of a true cell is that of the best prediction
        beside it, or "missed".
    """
    of_prediction = {e.row: e for e in analysis.errors if e.row is not None}
    of_truth = _verdicts_on_truth(analysis.errors)
    class_of = {category_id: c for c, category_id in enumerate(annotations.categories)}
    records = [annotations.images[image.image_id] for image in chosen]
    shrink = (_PIXELS_OF_ALL / max(sum(r["height"] * r["width"] for r in records), 1)) ** 0.5
    images = []
    for image, record in zip(chosen, records, strict=True):
        longest = round(min(1.0, shrink) * max(record["height"], record["width"]))
        picture = read_rgb(data_root / "images" / image.file_name)
        images.append(
            {
                "name": image.file_name,
                "width": record["width"],
                "height": record["height"],
                "pq": round(image.statistics.binary_pq, 3),
                "source": jpeg_data_uri(picture, min(_LONGEST_SIDE, longest)),
                "truth": [
                    [
                        class_of[cell["category_id"]],
                        _kind(of_truth.get(cell["id"])),
                        cell["segmentation"]["counts"],
                    ]
                    for cell in annotations.cells[image.image_id]
                ],
                "predictions": _predicted(
                    image, predictions, of_prediction, analysis.score_threshold
                ),
            }
        )
    return {
        "classes": [
            {"name": name, "colour": class_colour(c)} for c, name in enumerate(analysis.classes)
        ],
        "kinds": [{"name": name, "colour": colour} for name, colour in KIND_COLOURS.items()],
        "images": images,
    }


def _verdicts_on_truth(errors: Sequence[CellError]) -> dict[int | None, CellError]:
    """Errors by the true cell that they concern; of several, that of the best prediction."""
    found = {e.annotation_id: e for e in errors if e.kind is ErrorKind.MISSED}
    for error in errors:
        if error.kind in (ErrorKind.WRONG_CLASS, ErrorKind.POOR_OUTLINE):
            found.setdefault(error.annotation_id, error)
    return found


def _predicted(
    match: ImageMatches,
    predictions: Sequence[Prediction],
    errors: Mapping[int, CellError],
    score_threshold: float,
) -> list[list[Any]]:
    """The sure predictions of one image: see :func:`browser_data`."""
    best_iou = np.zeros(len(match.scores))
    np.maximum.at(best_iou, match.pairs.prediction_index, match.pairs.iou)
    return [
        [
            int(match.classes[p]),
            _kind(errors.get(row)),
            predictions[row]["segmentation"]["counts"],
            round(float(match.scores[p]), 3),
            round(float(best_iou[p]), 3),
        ]
        for p, row in enumerate(match.rows.tolist())
        if match.scores[p] >= score_threshold
    ]


def _kind(error: CellError | None) -> int:
    return list(KIND_COLOURS).index(FOUND if error is None else str(error.kind))
