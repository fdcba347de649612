"""All checks of a data set, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from cellseg_mm.preparation.findings.class_names import find_class_names
from cellseg_mm.preparation.findings.finding import Finding
from cellseg_mm.preparation.findings.noted_cells import find_noted_cells
from cellseg_mm.preparation.findings.odd_cells import find_odd_cells
from cellseg_mm.preparation.findings.same_image import find_same_images
from cellseg_mm.preparation.findings.scale import find_scales
from cellseg_mm.preparation.findings.split import find_patients_of_test
from cellseg_mm.preparation.image_inspection import ImageInspection
from cellseg_mm.preparation.raw_facts import NotedCells
from cellseg_mm.preparation.raw_layout import RawImage


def check_images(
    images: Sequence[RawImage],
    inspections: Sequence[ImageInspection],
    roots: Sequence[int],
    notes: Sequence[NotedCells],
    classes: Sequence[str],
) -> list[Finding]:
    """Report what deserves a look in a data set, apart from its training split.

    Args:
        images: All images.
        inspections: Of each of them.
        roots: What :func:`~cellseg_mm.preparation.image_fingerprint.same_images` says of them.
        notes: What the conversion noted.
        classes: Names of the classes of the prepared data set.
    """
    return [
        *find_same_images(inspections, roots),
        *find_patients_of_test(inspections, [image.patient for image in images]),
        *find_class_names(classes),
        *find_noted_cells(notes, inspections),
        *find_scales(inspections, [image.mpp for image in images]),
        *find_odd_cells(inspections),
    ]
