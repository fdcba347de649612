"""Zips of ImageJ's ROIs, as its ROI manager saves them: one for each image.

::

    a.tif  a.zip           also a_rois.zip, as `cellseg segment` writes it, and RoiSet_a.zip
    b/b.tif  b/RoiSet.zip  the name that ImageJ gives, in a folder with one image

Polygons, freehand and traced outlines, ellipses, rectangles and what was combined of them (with
holes) are cells. Points, lines and text are passed over. A ROI's class is its name without numbers
before or after it: "tumour" for `00001_tumour` and `tumour-7`; where nothing is left, as of the
names that ImageJ gives, it is "group 3" for a ROI of group 3, and else none.

The form is that of ImageJ's `RoiDecoder`, read by roifile.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Cell,
    Outline,
    ReadOptions,
)
from cellseg_mm.preparation.formats.image_files import ImageFiles, names_of
from cellseg_mm.preparation.formats.set_files import attempts, files_below
from cellseg_mm.preparation.problems import BadFileError, Problem, reading
from cellseg_mm.readers.suffixes import SUFFIXES

OPTIONS = ("images", "default_class")
_SAVE_AGAIN = "save it again with ImageJ's ROI manager"
_LARGEST_ROI = 16 << 20
_MOST_BYTES = 1 << 30
_AREAS = (
    *(ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED),
    *(ROI_TYPE.RECT, ROI_TYPE.OVAL),
)
_NO_AREAS = {
    ROI_TYPE.POINT: "point",
    **dict.fromkeys((ROI_TYPE.LINE, ROI_TYPE.FREELINE, ROI_TYPE.POLYLINE, ROI_TYPE.ANGLE), "line"),
}
_NUMBERS = re.compile(r"(?:\d+[-_ ]+)*(?P<name>.*?)(?:[-_ ]+\d+)*")


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read the ROIs of images; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    files = files_below(source, "*.zip") if source.is_dir() else [source]
    if not files or not source.exists():
        what = "it holds no .zip of ROIs" if source.is_dir() else "it does not exist"
        yield Problem(source, what, "save the ROIs of each image as NAME.zip there")
        return
    folder = options.images or (source if source.is_dir() else source.parent)
    images, problems = ImageFiles(folder).of_stems({path: _image_names(path) for path in files})
    yield from problems
    names = names_of(images.values())
    yield from attempts(images.items(), lambda pair: _read_one(names[pair[1]], pair[1], pair[0]))


def _image_names(path: Path) -> list[str]:
    stem = path.stem
    for ending in ("_rois", "_RoiSet", "-RoiSet"):
        stem = stem.removesuffix(ending)
    stem = stem.removeprefix("RoiSet_").removeprefix("RoiSet-")
    if stem == "RoiSet":
        beside = [other for other in path.parent.iterdir() if other.suffix.lower() in SUFFIXES]
        if len(beside) == 1:
            return [beside[0].name]
    return [path.stem, stem]


def _read_one(name: str, image: Path, path: Path) -> AnnotatedImage:
    cells = []
    passed_over: Counter[str] = Counter()
    for roi, label in _rois(path):
        if roi.roitype not in _AREAS or roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE):
            passed_over[_NO_AREAS.get(roi.roitype, "other ROI")] += 1
            continue
        with reading(path, f"the ROI {label!r:.80} has no outline", _SAVE_AGAIN):
            rings = [np.asarray(ring, np.float64) for ring in roi.coordinates(multi=True)]
            if not all(ring.shape[1:] == (2,) and np.isfinite(ring).all() for ring in rings):
                raise ValueError("its coordinates are no numbers")
        # Of combined ROIs, too, a point is inside by the even-odd rule.
        cells.append(Cell(_class_name(label, roi.group), Outline([rings])))
    return AnnotatedImage(name, path, image, cells, passed_over=passed_over)


def _rois(path: Path) -> Iterator[tuple[ImagejRoi, str]]:
    """The ROIs and their names."""
    errors = (zipfile.BadZipFile, OSError, NotImplementedError, ValueError)
    with (
        reading(path, "not readable as a zip of ROIs", _SAVE_AGAIN, *errors),
        zipfile.ZipFile(path) as archive,
    ):
        entries = [e for e in archive.infolist() if e.filename.lower().endswith(".roi")]
        if sum(entry.file_size for entry in entries) > _MOST_BYTES:
            raise BadFileError(path, "it is larger than 1 GB unpacked", _SAVE_AGAIN)
        for entry in entries:
            yield _roi(path, archive, entry)


def _roi(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[ImagejRoi, str]:
    label = entry.filename.rpartition("/")[2][: -len(".roi")]
    with reading(path, f"the ROI {label!r:.80} is damaged", _SAVE_AGAIN):
        with archive.open(entry) as file:
            data = file.read(_LARGEST_ROI + 1)
        if len(data) > _LARGEST_ROI:
            raise ValueError("it is larger than 16 MB")
        roi = ImagejRoi.frombytes(data)
    return roi, roi.name or label


def _class_name(label: str, group: int) -> str | None:
    named = _NUMBERS.fullmatch(label)
    name = named["name"] if named else label
    if name and not name.isdigit():
        return name
    return f"group {group}" if group else None
