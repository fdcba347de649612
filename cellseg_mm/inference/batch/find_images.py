"""Which images a command means, and what their results are called."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.readers.suffixes import SUFFIXES


class NamedImage(NamedTuple):
    """An image and the name of its results.

    Attributes:
        path: The image.
        name: Relative to the output folder, without an ending; may have folders.
        title: What the image is called inside of its results; empty = the last part of ``name``.
    """

    path: Path
    name: Path
    title: str = ""


def name_images(
    paths: Sequence[str | os.PathLike[str]], recursive: bool = False
) -> list[NamedImage]:
    """List images and name their results.

    A result is called like its image without the ending, in the folder where the image lies inside
    the folder that was named. Images that differ by their ending alone keep it.

    Args:
        paths: Files, folders, and patterns with ``*`` that no shell has expanded.
        recursive: Also look into folders inside folders.

    Returns:
        Each file once, in the order of the arguments and, inside a folder, of the names. Hidden
        files are left out, and of a folder of DICOM files, which are the levels of one slide, all
        but the first.

    Raises:
        MissingFileError: A path does not exist.
        UserError: A folder or a pattern holds no image, or two images in different folders would
            have the same name.
    """
    found = [(path, Path(*where, path.stem)) for path, where in _find(paths, recursive)]
    together: dict[str, list[int]] = defaultdict(list)
    for index, (_, name) in enumerate(found):
        together[_key(name)].append(index)
    for indices in together.values():
        if len(indices) > 1:
            for index in indices:
                path, name = found[index]
                found[index] = (path, name.with_name(path.name))
    seen: dict[str, Path] = {}
    for path, name in found:
        if (first := seen.setdefault(_key(name), path)) is not path:
            raise UserError(
                f"{first} and {path} have the same name, and so would their results: segment them "
                "into different folders, or name a folder that holds both."
            )
    return [NamedImage(path, name) for path, name in found]


def _find(
    paths: Sequence[str | os.PathLike[str]], recursive: bool
) -> list[tuple[Path, tuple[str, ...]]]:
    """The images, each with the folders between the folder that was named and itself."""
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    for argument in (os.fspath(path) for path in paths):
        path = Path(argument)
        if path.is_dir():
            images = list(_in_folder(path, recursive))
        elif path.exists():
            images = [(path, ())]
        elif glob.has_magic(argument):
            matches = sorted(map(Path, glob.glob(argument, recursive=True)))
            images = [(match, ()) for match in matches if match.is_file()]
        else:
            raise MissingFileError(f"{argument} does not exist: name an image or a folder.")
        if not images:
            more = "" if recursive or not path.is_dir() else " --recursive looks into its folders."
            raise UserError(f"{argument} holds no image that can be read.{more}")
        for image, where in images:
            found.setdefault(os.path.realpath(image), (image, where))
    return list(found.values())


def _in_folder(folder: Path, recursive: bool) -> Iterable[tuple[Path, tuple[str, ...]]]:
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        dicom = False
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or suffix not in SUFFIXES or (suffix == ".dcm" and dicom):
                continue
            dicom = dicom or suffix == ".dcm"
            yield Path(top, name), Path(top).relative_to(folder).parts


def _key(name: Path) -> str:
    """Equal for names that are one file on some file systems."""
    return unicodedata.normalize("NFC", str(name)).casefold()
