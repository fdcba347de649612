"""Finds the images that annotations of a tool belong to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from cellseg_mm.preparation.formats.set_files import files_below
from cellseg_mm.preparation.problems import BadFileError, Problem
from cellseg_mm.preparation.raw_layout import Part
from cellseg_mm.readers.suffixes import SUFFIXES

_TEST = re.compile(r"(?<![a-z])test(?![a-z])", re.IGNORECASE)


class ImageFiles:
    """The image files in a folder and the folders inside.

    Args:
        folder: The folder.
        others: Files in it that are no images, whatever their names.
    """

    def __init__(self, folder: Path, others: Collection[Path] = ()) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(folder, "*"):
            if path.suffix.lower() in SUFFIXES and path not in others:
                self._by_name[path.name].append(path)
                self._by_stem[path.stem].append(path)

    def of_path(self, stated: str, annotation: Path) -> Path:
        """The image that an annotation file names.

        Wherever it was annotated, it is looked for by the end of its path: the file with the most
        folders in common at its end, and of several the nearest to the annotation file.

        Args:
            stated: The path in the file, of whatever system.
            annotation: That file.

        Raises:
            BadFileError: There is none, or there are several.
        """
        parts = PurePosixPath(stated.replace("\\", "/")).parts[::-1]
        found = self._by_name.get(parts[0], []) if parts else []
        likeness = {path: _equal(path.parts[::-1], parts) for path in found}
        best = max(likeness.values(), default=0)
        return self._one(stated, annotation, [path for path in found if likeness[path] == best])

    def of_stems(
        self, stems: Mapping[Path, Sequence[str]]
    ) -> tuple[dict[Path, Path], list[Problem]]:
        """The image of each annotation file, nearest to it where there are several.

        Args:
            stems: Its names by annotation file, the first that exists being taken; with or without
                an ending.

        Returns:
            found: The image of each annotation file that has one.
            problems: What is wrong with the others.
        """
        found: dict[Path, Path] = {}
        problems = []
        for annotation, names in stems.items():
            name = next((n for n in names if n in self._by_name or n in self._by_stem), names[0])
            images = self._by_name.get(name) or self._by_stem.get(name, [])
            try:
                found[annotation] = self._one(name, annotation, images)
            except BadFileError as error:
                problems.append(error.problem)
        return found, problems

    def _one(self, name: str, annotation: Path, found: list[Path]) -> Path:
        nearness = {path: _equal(path.parts, annotation.parts) for path in found}
        nearest = max(nearness.values(), default=0)
        found = [path for path in found if nearness[path] == nearest]
        if not found:
            what = f"its image {name!r:.200} is not in {self._folder}"
            remedy = "add it there, or name the folder of the images with --images"
            raise BadFileError(annotation, what, remedy)
        if len(found) > 1:
            what = f"its image {name!r:.200} may be {found[0]} or {found[1]}"
            raise BadFileError(annotation, what, "rename or remove one of them")
        return found[0]


def _equal(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts two paths have in common from the beginning."""
    return (*(a == b for a, b in zip(first, second, strict=False)), False).index(False)


def part_of(path: Path, folder: Path) -> Part:
    """Test, where the file or a folder between `folder` and it has the word "test" in its name."""
    return "test" if _TEST.search(str(path.relative_to(folder))) else "train"


def names_of(images: Iterable[Path]) -> dict[Path, str]:
    """A name for each of some images: the stem, with folders before it where stems are equal."""
    paths = list(dict.fromkeys(images))
    names = {path: path.stem for path in paths}
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        same: dict[str, list[Path]] = defaultdict(list)
        for path, name in names.items():
            same[name.casefold()].append(path)
        for group in same.values():
            for path in group if len(group) > 1 else ():
                folders = path.parts[:-1][-depth:]
                names[path] = "_".join((*folders, path.stem))
        if all(len(group) == 1 for group in same.values()):
            break
    return names
