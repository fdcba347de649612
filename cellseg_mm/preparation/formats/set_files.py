"""Finds the files of an unpacked data set and pairs images with annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage
from cellseg_mm.preparation.problems import BadFileError, Problem

Item = TypeVar("Item")

DOWNLOAD_AGAIN = "download it again"


def files_below(source: Path, *patterns: str) -> list[Path]:
    """The files below a folder that match one of the patterns of `Path.rglob`, by path.

    What archivers and desktops leave behind (hidden files, `__MACOSX`) is passed over.
    """
    found = {path for pattern in patterns for path in source.rglob(pattern)}
    return sorted(path for path in found if path.is_file() and not _is_litter(path, source))


def _is_litter(path: Path, source: Path) -> bool:
    parts = path.relative_to(source).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def is_of_test_part(path: Path, source: Path) -> bool:
    """Whether a folder between the data set's own and the file is named as that of a test part."""
    return any("test" in part.lower() for part in path.relative_to(source).parts[:-1])


def read_pairs(
    source: Path,
    images: Mapping[str, list[Path]],
    annotations: Mapping[str, list[Path]],
    read: Callable[[str, Path, Path], AnnotatedImage],
    form: str,
) -> Iterator[AnnotatedImage | Problem]:
    """Read the images that have both files, and say what is wrong with the others.

    Args:
        source: The data set's folder.
        images: Image files by key; see :func:`by_key`.
        annotations: Annotation files by key.
        read: From the key, the image file and the annotation file to the image; may raise
            BadFileError.
        form: What the folder ought to hold, for the message if it holds nothing.

    Yields:
        Images and problems, by key.
    """
    if not images and not annotations:
        yield nothing_found(source, form)
    for key in sorted(images.keys() | annotations.keys()):
        of_image, of_annotation = images.get(key, []), annotations.get(key, [])
        if len(of_image) == len(of_annotation) == 1:
            try:
                yield read(key, of_image[0], of_annotation[0])
            except BadFileError as error:
                yield error.problem
                # The image is still looked at, so that all that is wrong is told at once.
                yield AnnotatedImage(key, of_annotation[0], of_image[0], ())
        for path in (*of_image[1:], *of_annotation[1:]):
            other = (of_image if path in of_image else of_annotation)[0]
            yield Problem(path, f"{other} has the same name", "keep one of them")
        if not of_annotation:
            yield Problem(of_image[0], "its annotation is missing", DOWNLOAD_AGAIN)
        if not of_image:
            yield Problem(of_annotation[0], "its image is missing", DOWNLOAD_AGAIN)


def nothing_found(source: Path, form: str) -> Problem:
    """What is wrong with a folder that holds no file of a data set."""
    what = f"it does not hold {form}" if source.is_dir() else "no such folder"
    return Problem(source, what, "name the unpacked download")


def attempts(
    items: Iterable[Item], read: Callable[[Item], AnnotatedImage]
) -> Iterator[AnnotatedImage | Problem]:
    """Read each item, or yield what is wrong with its file."""
    for item in items:
        try:
            yield read(item)
        except BadFileError as error:
            yield error.problem


def by_key(
    paths: Iterable[Path], key: Callable[[Path], str] = lambda path: path.stem
) -> dict[str, list[Path]]:
    """Files by what they have in common with those that belong to them, as a rule their stem."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(key(path), []).append(path)
    return found
