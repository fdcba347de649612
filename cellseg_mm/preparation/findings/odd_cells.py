"""Cells and truths that look like mistakes, image by image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellseg_mm.preparation.findings.finding import Finding, Place, counted, listed, spread
from cellseg_mm.preparation.image_inspection import ImageInspection

TINY_AREA = 10
"""Pixels: an instance below this is more likely a stray than a cell."""

SAME_CELL_IOU = 0.9
"""Two instances above this are one cell that was annotated twice."""


def find_odd_cells(inspections: Sequence[ImageInspection]) -> list[Finding]:
    """Report cells that are there twice, overlap, lie in pieces or are tiny, and images without."""
    with_truth = [inspection for inspection in inspections if inspection.class_files is not None]
    return [
        *_twice(with_truth),
        *_images(
            "Cells that overlap",
            "overlapping class files (every pixel is kept)",
            [(r, _overlapping(r)) for r in with_truth if r.overlap_pixels],
        ),
        *_images(
            "Cells in pieces",
            "cells of several pieces (each is kept as one instance)",
            [(r, [_at(r, n) for n in r.fragmented]) for r in with_truth if r.fragmented],
        ),
        *_images(
            "Tiny cells",
            f"cells of fewer than {TINY_AREA} pixels",
            [(r, _tiny(r)) for r in with_truth if len(_tiny(r))],
        ),
        *_images(
            "Images without cells",
            "no cell at all",
            [(r, [Place(r.place)]) for r in with_truth if not (r.classes > 0).any()],
        ),
        *_images(
            "Transparent images",
            "an alpha channel that is not 255 everywhere (dropped)",
            [(r, [Place(r.place)]) for r in inspections if r.alpha == "not opaque"],
        ),
        *_shared_ids(with_truth),
    ]


def _images(
    title: str, what: str, found: Sequence[tuple[ImageInspection, Sequence[Place]]]
) -> list[Finding]:
    if not found:
        return []
    names = [inspection.place for inspection, _ in found]
    sentence = f"{counted(len(names), 'image')} with {what}: {listed(names)}."
    return [Finding(title, sentence, spread(place for _, places in found for place in places))]


def _twice(inspections: Sequence[ImageInspection]) -> list[Finding]:
    places = []
    for r in inspections:
        pairs = r.overlapping
        for chosen in np.flatnonzero(pairs.iou > SAME_CELL_IOU).tolist():
            places.append(_at(r, *pairs.numbers[chosen].tolist(), note=_iou(pairs.iou[chosen])))
    if not places:
        return []
    images = list(dict.fromkeys(place.image for place in places))
    sentence = (
        f"{counted(len(places), 'cell')} annotated twice, in two classes (IoU above "
        f"{SAME_CELL_IOU}): {listed(images)}."
    )
    return [Finding("The same cell twice", sentence, spread(places))]


def _overlapping(r: ImageInspection) -> list[Place]:
    """The pairs that share most."""
    pairs = r.overlapping
    order = np.argsort(-pairs.shared, kind="stable").tolist()
    return [_at(r, *pairs.numbers[k].tolist(), note=f"{pairs.shared[k]} px") for k in order]


def _tiny(r: ImageInspection) -> list[Place]:
    numbers = (np.flatnonzero((r.areas < TINY_AREA) & (r.classes > 0)) + 1).tolist()
    return [_at(r, number, note=f"{r.areas[number - 1]} px") for number in numbers]


def _shared_ids(inspections: Sequence[ImageInspection]) -> list[Finding]:
    found = [r for r in inspections if r.shared_ids]
    if not found:
        return []
    names = [f"{r.place} ({listed(list(map(str, r.shared_ids)))})" for r in found]
    number = sum(len(r.shared_ids) for r in found)
    return [
        Finding(
            "Ids of several classes",
            f"{counted(number, 'id')} in more than one class of an image: {listed(names)}. They "
            "are taken as separate instances.",
        )
    ]


def _at(r: ImageInspection, *numbers: int, note: str = "") -> Place:
    boxes = r.boxes[np.array(numbers) - 1]
    x1, y1 = boxes[:, :2].min(axis=0).tolist()
    x2, y2 = boxes[:, 2:].max(axis=0).tolist()
    return Place(r.place, (x1, y1, x2, y2), numbers, note)


def _iou(value: float) -> str:
    return f"IoU {value:.2f}"
