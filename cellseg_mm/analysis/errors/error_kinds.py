"""Kinds of error: what is wrong with each prediction, which cells were missed, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cellseg_mm.analysis.errors.average_precision import Ranking, rank_predictions
from cellseg_mm.analysis.errors.image_matches import MATCH_IOU, SCORE_THRESHOLD, ImageMatches
from cellseg_mm.evaluation.cell_metrics import mean_defined

TOUCH_IOU = 0.1
"""Below this IoU a prediction has nothing to do with a cell (TIDE's background threshold)."""


class ErrorKind(StrEnum):
    """What is wrong with a prediction or a true cell; each has at most one kind."""

    WRONG_CLASS = "wrong class"
    POOR_OUTLINE = "poor outline"
    DUPLICATE = "duplicate"
    BACKGROUND = "background"
    MISSED = "missed"


@dataclass(frozen=True)
class CellError:
    """One wrong prediction, or one true cell that was not found.

    Attributes:
        kind: What is wrong.
        image_id: COCO image id.
        file_name: As the annotation file has it.
        box: Tight box xywh in pixels, of the prediction, or of the true cell where it is missed.
        iou: Greatest mask IoU with a cell of the other side.
        score: Of the prediction; None for a missed cell.
        truth_class: Class of the true cell concerned; None for background.
        predicted_class: Class of the prediction; None for a missed cell.
        annotation_id: COCO annotation id of the true cell concerned; None for background.
        row: Position of the prediction in the list; None for a missed cell.
        area: Mask area of the prediction, or of the missed cell, pixels.
    """

    kind: ErrorKind
    image_id: int
    file_name: str
    box: tuple[int, int, int, int]
    iou: float
    score: float | None
    truth_class: str | None
    predicted_class: str | None
    annotation_id: int | None
    row: int | None
    area: int


def find_errors(
    matches: Iterable[ImageMatches],
    classes: Sequence[str],
    score_threshold: float = SCORE_THRESHOLD,
) -> list[CellError]:
    """Give every wrong sure prediction and every cell that was not found exactly one kind of error.

    Sure predictions, by falling score, each take the free true cell of their class of greatest
    IoU ≥ `MATCH_IOU`: those are right. The others are, and the first that applies counts:

    1. duplicate: IoU ≥ `MATCH_IOU` with a cell of its class that a better prediction has taken;
    2. wrong class: IoU ≥ `MATCH_IOU` with a cell of another class;
    3. poor outline: IoU ≥ `TOUCH_IOU` with a cell of its class or, failing that, of another;
    4. background: everything else.

    A true cell that no prediction took is missed, unless it is the cell of greatest IoU of a wrong
    class or a poor outline, which already stand for it. The kinds are TIDE's (Bolya et
    al., *TIDE: A General Toolbox for Identifying Object Detection Errors*, ECCV 2020), without its
    "both". They come by image, predictions before missed cells.
    """
    errors: list[CellError] = []
    for image in matches:
        taken, verdicts = _judge(image, score_threshold)
        covered = set(taken)
        best_iou = np.zeros(len(image.truth_classes))
        sure = image.scores[image.pairs.prediction_index] >= score_threshold
        np.maximum.at(best_iou, image.pairs.truth_index[sure], image.pairs.iou[sure])
        for p, (kind, iou, truth) in verdicts.items():
            if kind in (ErrorKind.WRONG_CLASS, ErrorKind.POOR_OUTLINE) and truth is not None:
                covered.add(truth)
            errors.append(_error(image, classes, kind, iou, truth, p))
        for truth in sorted(set(range(len(best_iou))) - covered):
            iou = float(best_iou[truth])
            errors.append(_error(image, classes, ErrorKind.MISSED, iou, truth, None))
    return errors


def _error(
    image: ImageMatches,
    classes: Sequence[str],
    kind: ErrorKind,
    iou: float,
    truth: int | None,
    p: int | None,
) -> CellError:
    """The error of a prediction or, where that is None, of a true cell."""
    if p is None:
        box, area = image.truth_boxes[truth], image.truth_areas[truth]
    else:
        box, area = image.boxes[p], image.areas[p]
    x, y, width, height = box.tolist()
    return CellError(
        kind=kind,
        image_id=image.image_id,
        file_name=image.file_name,
        box=(x, y, width, height),
        iou=iou,
        score=None if p is None else float(image.scores[p]),
        truth_class=None if truth is None else classes[image.truth_classes[truth]],
        predicted_class=None if p is None else classes[image.classes[p]],
        annotation_id=None if truth is None else int(image.annotation_ids[truth]),
        row=None if p is None else int(image.rows[p]),
        area=int(area),
    )


_Judged = tuple[dict[int, int], dict[int, tuple[ErrorKind, float, int | None]]]
"""Right predictions by true cell, and kind, IoU and true cell of the wrong ones."""


def _judge(image: ImageMatches, score_threshold: float) -> _Judged:
    taken: dict[int, int] = {}
    verdicts: dict[int, tuple[ErrorKind, float, int | None]] = {}
    overlaps = image.overlaps(TOUCH_IOU)
    for p in range(int(np.count_nonzero(image.scores >= score_threshold))):
        own = [(i, t) for i, t in overlaps[p] if image.truth_classes[t] == image.classes[p]]
        other = [(i, t) for i, t in overlaps[p] if image.truth_classes[t] != image.classes[p]]
        nothing = (0.0, -1)
        best_own, best_other = max(own, default=nothing), max(other, default=nothing)
        free = max(((i, t) for i, t in own if t not in taken), default=nothing)
        if free[1] >= 0 and free[0] >= MATCH_IOU:
            taken[free[1]] = p
        elif best_own[1] >= 0 and best_own[0] >= MATCH_IOU:
            verdicts[p] = (ErrorKind.DUPLICATE, *best_own)
        elif best_other[1] >= 0 and best_other[0] >= MATCH_IOU:
            verdicts[p] = (ErrorKind.WRONG_CLASS, *best_other)
        elif best_own[1] >= 0:
            verdicts[p] = (ErrorKind.POOR_OUTLINE, *best_own)
        elif best_other[1] >= 0:
            verdicts[p] = (ErrorKind.POOR_OUTLINE, *best_other)
        else:
            touching = image.pairs.iou[image.pairs.prediction_index == p]
            verdicts[p] = (ErrorKind.BACKGROUND, float(touching.max(initial=0.0)), None)
    return taken, verdicts


def count_errors(
    errors: Iterable[CellError], classes: Sequence[str]
) -> dict[ErrorKind, dict[str, int]]:
    """Number of errors by kind and class: that of the missed cell, else that predicted."""
    counts = {kind: dict.fromkeys(classes, 0) for kind in ErrorKind}
    for error in errors:
        name = error.truth_class if error.kind is ErrorKind.MISSED else error.predicted_class
        if name is not None:
            counts[error.kind][name] += 1
    return counts


def ap_gains(matches: Sequence[ImageMatches], num_classes: int) -> dict[ErrorKind, float]:
    """How much AP at `MATCH_IOU` would rise if all errors of one kind were mended (TIDE's ΔAP).

    All predictions are judged, whatever their score. Mending gives a wrong class the right one and
    a poor outline the right mask, where the true cell is still free (else the prediction is
    removed); removes duplicates and background; takes missed cells out of the truth. A poor outline
    of another class is removed. AP is the mean over the classes that have truth, NaN without any.
    """
    before = mean_defined(
        [rank_predictions(matches, c, MATCH_IOU).ap() for c in range(num_classes)]
    )
    mended = {kind: [Ranking() for _ in range(num_classes)] for kind in ErrorKind}
    for image in matches:
        judged = _judge(image, -np.inf)
        for kind, rankings in mended.items():
            _mend(image, kind, judged, rankings)
    return {
        kind: mean_defined([ranking.ap() for ranking in rankings]) - before
        for kind, rankings in mended.items()
    }


def _mend(image: ImageMatches, kind: ErrorKind, judged: _Judged, rankings: list[Ranking]) -> None:
    """Add one image, judged, to the rankings, with the errors of one kind mended."""
    taken, verdicts = judged
    found = set(taken)
    covered = set(taken)
    for c, cells in enumerate(np.bincount(image.truth_classes, minlength=len(rankings))):
        rankings[c].truth_cells += int(cells)
    for p in range(len(image.scores)):
        ranking = rankings[image.classes[p]]
        hit = p not in verdicts
        if not hit:
            verdict, _, truth = verdicts[p]
            if truth is not None and verdict in (ErrorKind.WRONG_CLASS, ErrorKind.POOR_OUTLINE):
                covered.add(truth)
            if verdict is kind:
                if kind in (ErrorKind.DUPLICATE, ErrorKind.BACKGROUND):
                    continue
                if truth is None or truth in found:
                    continue
                truth_class = image.truth_classes[truth]
                if kind is ErrorKind.POOR_OUTLINE and truth_class != image.classes[p]:
                    continue
                found.add(truth)
                ranking, hit = rankings[truth_class], True
        ranking.scores.append(float(image.scores[p]))
        ranking.hits.append(hit)
    if kind is ErrorKind.MISSED:
        for truth, c in enumerate(image.truth_classes):
            if truth not in covered:
                rankings[c].truth_cells -= 1


def worst_cells(errors: Iterable[CellError], number: int = 12) -> dict[ErrorKind, list[CellError]]:
    """The worst cells of each kind, at most `number` of them.

    Worst first: wrong predictions by falling score, for the surest errors weigh most in AP; poor
    outlines by rising IoU; missed cells by falling area, since large ones should be easiest.
    """

    def rank(error: CellError) -> float:
        if error.kind is ErrorKind.MISSED:
            return -error.area
        return error.iou if error.kind is ErrorKind.POOR_OUTLINE else -(error.score or 0.0)

    ordered = sorted(errors, key=rank)
    return {kind: [e for e in ordered if e.kind is kind][:number] for kind in ErrorKind}
