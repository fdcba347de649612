"""Finds the images that annotations of a tool belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cellseg_mm.preparation.formats.set_files import files_below
from cellseg_mm.preparation.problems import BadFileError
from cellseg_mm.readers.suffixes import SUFFIXES


class ImageFiles:
    """The image files in a folder and the folders inside.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(folder, "*"):
            if path.suffix.lower() in SUFFIXES:
                self._by_name[path.name].append(path)
                self._by_stem[path.stem].append(path)

    def of_path(self, stated: str, annotation: Path) -> Path:
        """The image that an annotation file names.

        Wherever it was annotated, it is looked for by the end of its path: the file with the most
        folders in common, and of several one in the annotation file's folder.

        Args:
            stated: The path in the file, of whatever system.
            annotation: That file.

        Raises:
            BadFileError: There is none, or there are several.
        """
        parts = PurePosixPath(stated.replace("\\", "/")).parts[::-1]
        found = self._by_name.get(parts[0], []) if parts else []
        beside = annotation.parent

        def likeness(path: Path) -> tuple[int, bool]:
            same = [a == b for a, b in zip(path.parts[::-1], parts, strict=False)]
            return (*same, False).index(False), path.is_relative_to(beside)

        best = max(map(likeness, found), default=None)
        return self._one(stated, annotation, [path for path in found if likeness(path) == best])

    def of_stem(self, stems: Iterable[str], annotation: Path) -> Path:
        """The image with the first of some names, with or without its ending.

        Raises:
            BadFileError: There is none, or there are several.
        """
        stems = list(stems)
        for stem in stems:
            found = self._by_name.get(stem) or self._by_stem.get(stem)
            if found:
                beside = [path for path in found if path.parent == annotation.parent]
                return self._one(stem, annotation, beside or found)
        return self._one(stems[0], annotation, [])

    def _one(self, name: str, annotation: Path, found: list[Path]) -> Path:
        if not found:
            what = f"its image {name!r:.200} is not in {self._folder}"
            remedy = "add it there, or name the folder of the images with --images"
            raise BadFileError(annotation, what, remedy)
        if len(found) > 1:
            what = f"its image {name!r:.200} may be {found[0]} or {found[1]}"
            raise BadFileError(annotation, what, "rename or remove one of them")
        return found[0]


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
