"""Splits whose parts do not fit: patients on both sides, classes that one part lacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

import numpy as np

from cellseg_mm.preparation.findings.finding import Finding, Place, counted, listed, spread
from cellseg_mm.preparation.image_inspection import ImageInspection
from cellseg_mm.preparation.splits import Fold

_BOTH_SIDES = "Patients on both sides of the split"
_TITLE = "Training and validation"


def find_patients_of_test(
    inspections: Sequence[ImageInspection], patients: Sequence[str | None]
) -> list[Finding]:
    """Report patients with images in train and test.

    Args:
        inspections: Of all images.
        patients: Whose tissue each is, None where it is not known.
    """
    known = [
        (patient, inspection.part, inspection.place)
        for inspection, patient in zip(inspections, patients, strict=True)
        if patient is not None
    ]
    shared = _on_both_sides(known)
    if not shared:
        return []
    sentence = (
        f"{counted(len(shared), 'patient')} with images in train and test "
        f"({listed(list(shared))}): test scores say less about new patients."
    )
    return [Finding(_BOTH_SIDES, sentence, spread(_examples(shared)))]


def find_split(
    fold: Fold,
    inspections: Sequence[ImageInspection],
    groups: Sequence[str],
    classes: Sequence[str],
    val_fraction: float,
    annotated: Sequence[int] | None = None,
) -> list[Finding]:
    """Report what deserves a look in a split of the training images.

    Args:
        fold: The split.
        inspections: Inspections of the training images.
        groups: Group of each of them.
        classes: Class names.
        val_fraction: The share of validation images that was asked for.
        annotated: Numbers, from 1, of the classes that the data set annotates; None = all.
    """
    if not fold.val:
        reason = (
            "there is only one image, and it goes to training"
            if len(inspections) == 1
            else "the validation fraction is 0"
        )
        sentence = f"The validation part is empty: {reason}. Train without validation."
        return [Finding(_TITLE, sentence)]
    in_val = set(fold.val)
    findings = []
    leaked = _on_both_sides(
        (group, "validation" if inspection.name in in_val else "training", inspection.place)
        for inspection, group in zip(inspections, groups, strict=True)
    )
    if leaked:
        names = listed([key.partition(":")[2] for key in leaked])
        noun = "patient" if all(key.startswith("patient:") for key in leaked) else "group"
        sentence = (
            f"{counted(len(leaked), noun)} with images in training and validation ({names}): "
            "validation scores will be too good."
        )
        findings.append(Finding(_BOTH_SIDES, sentence, spread(_examples(leaked))))
    findings += _missing_classes(in_val, inspections, classes, annotated)
    share = len(fold.val) / len(inspections)
    if abs(share - val_fraction) > max(0.05, 1 / len(inspections)):
        sentence = (
            f"Validation has {share:.0%} of the images, not {val_fraction:.0%}: patients stay "
            "together, and rare classes should be in both parts."
        )
        findings.append(Finding(_TITLE, sentence))
    return findings


def _missing_classes(
    in_val: Set[str],
    inspections: Sequence[ImageInspection],
    classes: Sequence[str],
    annotated: Sequence[int] | None,
) -> list[Finding]:
    """Annotated classes that the images of a part lack; ``in_val`` has those for validation."""
    findings = []
    for part in ("training", "validation"):
        found: set[int] = set()
        for inspection in inspections:
            if (inspection.name in in_val) == (part == "validation"):
                found.update(np.unique(inspection.classes).tolist())
        missing = [
            name
            for number, name in enumerate(classes, start=1)
            if number not in found and (annotated is None or number in annotated)
        ]
        if missing:
            sentence = f"No {part} image has the class {listed(missing)}."
            findings.append(Finding(_TITLE, sentence))
    return findings


def _on_both_sides(images: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, list[str]]]:
    """Images by group and part, of the groups that have images in two parts; by name.

    Args:
        images: Group, part and place of each image.
    """
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for group, part, place in images:
        places[group][part].append(place)
    return {group: dict(parts) for group, parts in sorted(places.items()) if len(parts) > 1}


def _examples(groups: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Place]:
    """An image of each part of each group."""
    for group, parts in groups.items():
        for part, places in parts.items():
            yield Place(places[0], note=f"{group.removeprefix('patient:')}, {part}")
