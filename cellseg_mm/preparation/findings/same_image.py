"""Images that are there more than once."""

from __future__ import annotations

from collections.abc import Sequence

from cellseg_mm.preparation.findings.finding import MOST_PLACES, Finding, Place, counted
from cellseg_mm.preparation.image_fingerprint import same_image_groups
from cellseg_mm.preparation.image_inspection import ImageInspection

_TITLE = "The same image more than once"
_GROUPS_NAMED = 5


def find_same_images(inspections: Sequence[ImageInspection], roots: Sequence[int]) -> list[Finding]:
    """Report images of the same pixels, and of the same tissue in another size or compression.

    Args:
        inspections: Of all images.
        roots: What :func:`~cellseg_mm.preparation.image_fingerprint.same_images` says of them.
    """
    groups = [[inspections[number] for number in group] for group in same_image_groups(roots)]
    if not groups:
        return []
    groups.sort(key=lambda group: len({image.part for image in group}), reverse=True)
    named = "; ".join(_described(group) for group in groups[:_GROUPS_NAMED])
    if len(groups) > _GROUPS_NAMED:
        named += f"; and {len(groups) - _GROUPS_NAMED:,} more"
    sentence = f"{counted(len(groups), 'image')} more than once: {named}."
    across = sum(len({image.part for image in group}) > 1 for group in groups)
    if across:
        sentence += f" {across:,} of them in train and test: test scores will be too good."
    places = [
        Place(image.place, note=f"{image.height} × {image.width}, image {number}")
        for number, group in enumerate(groups, start=1)
        for image in group
    ]
    return [Finding(_TITLE, sentence, tuple(places[:MOST_PLACES]))]


def _described(group: Sequence[ImageInspection]) -> str:
    names = " = ".join(image.place for image in group)
    exact = len({image.content for image in group}) == 1
    return f"{names} ({'the same pixels' if exact else 'another size or compression'})"
