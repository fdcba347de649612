"""Which images belong together, so that a split must not separate them."""

from __future__ import annotations

import re
from collections.abc import Sequence

PATIENT_REGEX = r"^TCGA-\w{2}-\w{4}"
"""A TCGA barcode names the patient in its first 12 characters."""


def patient_of(name: str, group_regex: str | None = None) -> str | None:
    """The patient (or any other group) that an image's name tells; None where it tells none.

    Args:
        name: Name of the image.
        group_regex: Regular expression searched for in the name; its first group, or the whole
            match where it has none, is the patient. Default: :data:`PATIENT_REGEX`.
    """
    match = re.search(PATIENT_REGEX if group_regex is None else group_regex, name)
    if match is None:
        return None
    return match[1] if match.re.groups else match[0]


def group_images(
    names: Sequence[str], contents: Sequence[str], patients: Sequence[str | None]
) -> list[str]:
    """Give every image the name of its group.

    Images of one patient form a group, and so do images of the same content, whatever their names:
    an image that is there twice must not be in training and validation. Every other image is its
    own group.

    Args:
        names: Names of the images, distinct.
        contents: A digest of each image's pixels.
        patients: Whose tissue each image is; None where it is not known.

    Returns:
        For each image a group key; equal keys belong together.
    """
    # Union-find over the two kinds of keys; the smallest key names the group.
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    keys: list[tuple[str, str]] = []
    for name, content, patient in zip(names, contents, patients, strict=True):
        keys.append(("image", name) if patient is None else ("patient", patient))
        low, high = sorted((root(keys[-1]), root(("same", content))))
        parent[high] = low
    return [":".join(root(key)) for key in keys]
