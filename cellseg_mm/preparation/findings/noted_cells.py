"""What the conversion has seen in the annotations, which the raw layout cannot show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cellseg_mm.preparation.findings.finding import Finding, Place, counted, listed, spread
from cellseg_mm.preparation.image_inspection import ImageInspection
from cellseg_mm.preparation.raw_facts import CellNote, NotedCells

_SENTENCES: dict[CellNote, tuple[str, str]] = {
    "outside": (
        "Cells outside the image",
        "outside of the image, left out by the conversion",
    ),
    "cut off": (
        "Cells outside the image",
        "beyond the border of the image by more than a pixel, cut off by the conversion",
    ),
    "self-crossing": (
        "Outlines that cross themselves",
        "with an outline that crosses itself, filled by the even-odd rule",
    ),
    "repeated": (
        "The same cell twice",
        "annotated twice in one class, of which the later one was kept",
    ),
}


def find_noted_cells(
    notes: Sequence[NotedCells], inspections: Sequence[ImageInspection]
) -> list[Finding]:
    """Report what `dataset.json` notes of the images that are still there."""
    known = {inspection.name: inspection for inspection in inspections}
    of_kind: dict[CellNote, list[NotedCells]] = defaultdict(list)
    for note in notes:
        if note.image in known:
            of_kind[note.kind].append(note)
    findings = []
    for kind, (title, what) in _SENTENCES.items():
        found = of_kind[kind]
        if found:
            number = sum(note.cells for note in found)
            names = [known[note.image].place for note in found]
            sentence = f"{counted(number, 'cell')} {what}: {listed(names)}."
            places = (_place(known[note.image], x, y) for note in found for x, y in note.places)
            findings.append(Finding(title, sentence, spread(places)))
    return findings


def _place(inspection: ImageInspection, x: float, y: float) -> Place:
    """The pixel at a point, or the nearest one of the image."""
    column = min(max(int(x), 0), inspection.width - 1)
    row = min(max(int(y), 0), inspection.height - 1)
    return Place(inspection.place, (column, row, column + 1, row + 1))
