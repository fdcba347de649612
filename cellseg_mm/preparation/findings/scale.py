"""Images at another magnification than the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.findings.finding import Finding, Place, counted, listed, spread
from cellseg_mm.preparation.image_inspection import ImageInspection

_TITLE = "Magnification"
_SAME_SCALE = 1.1
"""Scanners of one magnification differ by this factor at most."""

_FAR = 1.6
"""Factor of the cells' diameter: magnifications differ by 2, images of one magnification by up to
1.5 (measured on CoNSeP and MoNuSAC)."""

_FEWEST_CELLS = 30
_FEWEST_IMAGES = 4


def find_scales(
    inspections: Sequence[ImageInspection], scales: Sequence[float | None]
) -> list[Finding]:
    """Report images whose stated or apparent magnification is not that of the others.

    Args:
        inspections: Of all images.
        scales: µm per pixel of each, None where it is not known.
    """
    return [*_stated(inspections, scales), *_apparent(inspections, scales)]


def _stated(
    inspections: Sequence[ImageInspection], scales: Sequence[float | None]
) -> list[Finding]:
    known = [scale for scale in scales if scale is not None]
    if not known or max(known) <= _SAME_SCALE * min(known):
        return []
    usual = float(np.median(known))
    other = [
        (inspection.place, scale)
        for inspection, scale in zip(inspections, scales, strict=True)
        if scale is not None and _factor(scale / usual) > _SAME_SCALE
    ]
    sentence = (
        f"The images state {min(known):.3g} to {max(known):.3g} µm per pixel, most of them about "
        f"{usual:.3g}; {counted(len(other), 'image')} differ"
        f"{'s' if len(other) == 1 else ''}: {listed([place for place, _ in other])}."
    )
    places = (Place(place, note=f"{scale:.3g} µm per pixel") for place, scale in other)
    return [Finding(_TITLE, sentence, spread(places))]


def _apparent(
    inspections: Sequence[ImageInspection], scales: Sequence[float | None]
) -> list[Finding]:
    """By the cells' diameters, relative to those of their class in the whole data set."""
    # Stated scales explain different sizes in pixels, if all images state one.
    all_known = None not in scales
    diameters = [
        np.sqrt(r.areas[r.classes > 0] * (4 / np.pi)) * ((scale or 1.0) if all_known else 1.0)
        for r, scale in zip(inspections, scales, strict=True)
    ]
    classes = [r.classes[r.classes > 0] for r in inspections]
    typical = _class_medians(diameters, classes)
    measured = [
        (number, float(np.median(d / typical[c])), float(np.median(d)))
        for number, (d, c) in enumerate(zip(diameters, classes, strict=True))
        if len(d) >= _FEWEST_CELLS
    ]
    if len(measured) < _FEWEST_IMAGES:
        return []
    usual = float(np.median([ratio for _, ratio, _ in measured]))
    far = [
        (inspections[number].place, ratio / usual, diameter)
        for number, ratio, diameter in measured
        if _factor(ratio / usual) > _FAR
    ]
    if not far:
        return []
    far.sort(key=lambda image: _factor(image[1]), reverse=True)
    sentence = (
        f"{counted(len(far), 'image')} with cells of another size than the rest (median diameter, "
        f"class by class, by a factor above {_FAR} apart), as at another magnification: "
        f"{listed([place for place, _, _ in far])}."
    )
    unit = "µm" if all_known else "px"
    places = (
        Place(place, note=f"median cell {diameter:.1f} {unit}, {ratio:.2f} × the rest")
        for place, ratio, diameter in far
    )
    return [Finding(_TITLE, sentence, spread(places))]


def _class_medians(
    diameters: Sequence[npt.NDArray[np.float64]], classes: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float64]:
    """The median over images of each class's median diameter: large images weigh no more."""
    most = max((int(c.max(initial=0)) for c in classes), default=0)
    medians = np.ones(most + 1)
    for number in range(1, most + 1):
        of_images = [
            np.median(d[c == number])
            for d, c in zip(diameters, classes, strict=True)
            if (c == number).any()
        ]
        if of_images:
            medians[number] = np.median(of_images)
    return medians


def _factor(ratio: float) -> float:
    return max(ratio, 1 / ratio)
