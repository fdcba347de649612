"""From any format to the raw layout: read every image, write all or nothing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.files.whole_folder import whole_folder
from cellseg_mm.preparation.formats.annotated_image import AnnotatedImage, Cell, ReadOptions
from cellseg_mm.preparation.formats.cell_masks import masks_of_cells, paint
from cellseg_mm.preparation.formats.pixel_file import read_pixel_file
from cellseg_mm.preparation.formats.registry import format_module
from cellseg_mm.preparation.odd_annotations import note_odd_cells, repeated_cells
from cellseg_mm.preparation.problems import BadFileError, InputError, Problem
from cellseg_mm.preparation.raw_facts import ImageFacts, NotedCells, RawFacts
from cellseg_mm.preparation.raw_layout import is_safe_name
from cellseg_mm.preparation.raw_writer import RawDatasetWriter
from cellseg_mm.structures.mask_runs import MaskRuns


@dataclass(frozen=True)
class ConvertOptions:
    """What to convert.

    Attributes:
        format: A name of :data:`~cellseg_mm.preparation.formats.registry.FORMATS`.
        source: File or folder of the training part, or of everything.
        out: Folder to make; absent or empty.
        test: File or folder of the test part, or None.
        classes: Names to take, in the order of the class files; cells of other classes are left
            out. None: the format's own, or all that occur, by name.
        mpp: µm per pixel of all images; None: what the files say.
        read: What the format's reader is told.
    """

    format: str
    source: Path
    out: Path
    test: Path | None = None
    classes: tuple[str, ...] | None = None
    mpp: float | None = None
    read: ReadOptions = field(default_factory=ReadOptions)


@dataclass
class Conversion:
    """What was written.

    Attributes:
        images: Number of images of each part.
        cells: Number of cells of each class that have a pixel.
        left_out: Number of cells of each class that was not asked for, "" for those of none.
        passed_over: What the annotations hold beside cells, and how often.
        notes: What is odd about the annotations.
    """

    images: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    notes: list[NotedCells] = field(default_factory=list)


def convert_dataset(options: ConvertOptions) -> Conversion:
    """Convert a data set, whole or not at all.

    Raises:
        InputError: Files cannot be used; every one is named.
        UserError: `out` is not absent or empty, or an option does not fit the format.
    """
    module = format_module(options.format)
    _check_options(options, module.OPTIONS)
    classes = options.classes or getattr(module, "CLASSES", None)
    problems: list[Problem] = []
    with whole_folder(options.out) as scratch:
        writer = _Writer(scratch, classes, options)
        for image in _images(options):
            if isinstance(image, Problem):
                problems.append(image)
                continue
            try:
                writer.add(image, write=not problems)
            except BadFileError as error:
                problems.append(error.problem)
        if not problems and not sum(writer.conversion.images.values()):
            problems.append(Problem(options.source, "it holds no image", "name the data set"))
        if not problems and not writer.conversion.cells and writer.conversion.left_out:
            problems.append(_no_cell(options, writer.conversion.left_out))
        if problems:
            raise InputError(*problems)
        writer.finish()
    return writer.conversion


def _check_options(options: ConvertOptions, honoured: Sequence[str]) -> None:
    for option in dataclasses.fields(ReadOptions):
        if getattr(options.read, option.name) is not None and option.name not in honoured:
            flag = option.name.replace("_", "-")
            raise UserError(f"--{flag} means nothing for {options.format}: leave it out.")
    if options.mpp is not None and not 0.01 <= options.mpp <= 100:
        raise UserError(f"--mpp is {options.mpp}: give µm per pixel, such as 0.25.")
    if options.classes is not None and len(set(options.classes)) < len(options.classes):
        raise UserError(f"--classes is {','.join(options.classes)!r}: give distinct names.")


def _no_cell(options: ConvertOptions, left_out: Counter[str]) -> Problem:
    """What is wrong where there are cells, but none that was taken."""
    names = ", ".join(sorted(name for name in left_out if name))
    if names:
        what = f"its cells are of the classes {names}, none of which was asked for"
        return Problem(options.source, what, "take some of these as --classes")
    what = f"none of its {left_out['']:,} cells has a class"
    return Problem(options.source, what, "say what they are, such as --default-class nucleus")


def _images(options: ConvertOptions) -> Iterator[AnnotatedImage | Problem]:
    module = format_module(options.format)
    yield from module.read(options.source, options.read)
    if options.test is not None:
        for image in module.read(options.test, options.read):
            yield image if isinstance(image, Problem) else dataclasses.replace(image, part="test")


class _Writer:
    """Writes annotated images to a raw folder.

    Classes that nobody has named get numbers as they come, and their order at the end.
    """

    def __init__(
        self, folder: Path, classes: tuple[str, ...] | None, options: ConvertOptions
    ) -> None:
        self.conversion = Conversion()
        self._folder = folder
        self._raw = RawDatasetWriter(folder, compact=True)
        self._fixed = classes is not None
        self._classes = list(classes or ())
        self._mpp = options.mpp
        self._default_class = options.read.default_class
        self._facts: dict[str, ImageFacts] = {}
        self._sources: dict[str, Path] = {}

    def add(self, image: AnnotatedImage, write: bool) -> None:
        """Check an image and write it.

        Raises:
            BadFileError: It cannot be used.
        """
        self._check_name(image)
        rgb, mpp = _read_pixels(image)
        height, width, _ = rgb.shape
        if image.size not in (None, (height, width)):
            raise BadFileError(
                image.source,
                "it says that the image {} is {} × {} pixels (height × width), but it is "
                "{} × {}".format(image.name, *image.size, height, width),
                "give the image that was annotated",
            )
        if not write:
            return
        masks = masks_of_cells(image.cells, height, width)
        numbers = self._numbers_by_class(image.cells, masks)
        repeated: list[int] = []
        label_maps = self._label_maps(masks, numbers, repeated)
        self._raw.add(image.part, image.name, rgb, label_maps)
        self.conversion.notes += note_odd_cells(image.name, image.cells, (height, width), repeated)
        self._facts[image.name] = ImageFacts(image.patient, self._mpp or image.mpp or mpp)
        self.conversion.images[image.part] += 1
        self.conversion.passed_over.update(image.passed_over)

    def _label_maps(
        self, masks: MaskRuns, numbers: Mapping[str, Sequence[int]], repeated: list[int]
    ) -> Iterator[npt.NDArray[np.uint32] | None]:
        """One class's label map at a time; cells that one of them hides are added to a list."""
        for name in self._classes:
            if name in numbers:
                label_map = paint(masks, numbers[name])
                repeated += repeated_cells(masks, numbers[name], label_map)
                yield label_map
                del label_map  # before the next one is painted
            else:
                yield None

    def _check_name(self, image: AnnotatedImage) -> None:
        if not is_safe_name(image.name):
            what = f"the image's name {image.name!r} is not safe as a file name everywhere"
            raise BadFileError(image.source, what, "rename the image")
        other = self._sources.setdefault(image.name.casefold(), image.source)
        if other is not image.source:
            what = f"its image has the name of that of {other}, {image.name}"
            raise BadFileError(image.source, what, "rename or remove one of them")

    def _numbers_by_class(self, cells: Sequence[Cell], masks: MaskRuns) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for number, (cell, area) in enumerate(zip(cells, masks.areas.tolist(), strict=True)):
            name = cell.class_name or self._default_class
            if name is not None and name not in self._classes and not self._fixed:
                self._classes.append(name)
            if name is None or name not in self._classes:
                self.conversion.left_out[name or ""] += 1
            elif area:
                numbers.setdefault(name, []).append(number)
                self.conversion.cells[name] += 1
        return numbers

    def finish(self) -> None:
        """Write what concerns all images."""
        classes = self._classes if self._fixed else sorted(self._classes)
        if classes != self._classes:
            self._renumber({n: classes.index(c) + 1 for n, c in enumerate(self._classes, 1)})
        self._raw.finish()
        facts = RawFacts(tuple(classes), "bgr", self._facts, self.conversion.notes)
        facts.write(self._folder)

    def _renumber(self, new: dict[int, int]) -> None:
        for folder in (*self._folder.glob("train/*"), *self._folder.glob("test_gt/*")):
            found = [(n, folder / f"class{n}.tif") for n in new]
            moved = [
                (n, path.rename(path.with_suffix(".moved"))) for n, path in found if path.exists()
            ]
            for number, path in moved:
                path.rename(folder / f"class{new[number]}.tif")


def _read_pixels(image: AnnotatedImage) -> tuple[npt.NDArray[np.uint8], float | None]:
    """The pixels, and µm per pixel where the file tells."""
    if isinstance(image.pixels, Path):
        return read_pixel_file(image.pixels, image.swapped)
    return image.pixels(), None
