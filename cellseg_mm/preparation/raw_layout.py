"""The raw layout on disk: which images a data set has, and which files belong to each.

::

    RAW/train/<name>/image.tif, class1.tif … classC.tif    a class file may be absent: no such cell
    RAW/test_release/<name>.tif                            optional
    RAW/test_image_name_to_ids.json                        [{file_name, id, height, width}, …]
    RAW/test_gt/<name>/class1.tif … classC.tif             optional truth of the test images
    RAW/dataset.json                                       optional; see :mod:`.raw_facts`

Only names are looked at here; :mod:`cellseg_mm.preparation.raw_reader` opens the files.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeGuard

from cellseg_mm.preparation.problems import Problem

Part = Literal["train", "test"]

TEST_IDS_FILE = "test_image_name_to_ids.json"

# Names become file names on any system, and appear in JSON and Markdown.
_SAFE_NAME = re.compile(r"\w(?:[\w .,+=@()-]*[\w)+=@-])?")
_LONGEST_NAME = 200
_CLASS_FILE = re.compile(r"class([1-9][0-9]*)\.tif")
_CLASS_FILE_OF_OTHERS = re.compile(r"class[ _-]?[0-9]+\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class RawImage:
    """One image of a raw data set.

    Attributes:
        name: The image's id in the raw layout, unique in the data set; in Unicode's normal form
            NFC, whatever form the file system keeps.
        part: "train" or "test".
        image_id: Integer id of the prepared layout.
        image_path: The image file.
        mask_paths: Path of each class file that exists, by class number from 1; None where the
            image has no truth (a test image without `test_gt/`).
        stated_size: (height, width) that the test list states, or None.
        patient: Whose tissue it is, or None; names alone do not tell it.
        mpp: µm per pixel, or None; nor this.
    """

    name: str
    part: Part
    image_id: int
    image_path: Path
    mask_paths: Mapping[int, Path] | None
    stated_size: tuple[int, int] | None = None
    patient: str | None = None
    mpp: float | None = None


@dataclass
class RawDataset:
    """What a scan of a raw folder found.

    Attributes:
        images: Train images by name, then test images by id.
        problems: What keeps the data set from being prepared.
        warnings: What was ignored or is worth a look.
    """

    images: list[RawImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, path: Path, what: str, remedy: str) -> None:
        """Note a problem; see :class:`Problem`."""
        self.problems.append(Problem(path, what, remedy))


def scan_raw_folder(raw: Path, num_classes: int) -> RawDataset:
    """List the images of a raw folder and check everything that names alone can tell.

    A `classK.tif` with K above the number of classes is a problem. Never raises for bad input.
    """
    dataset = RawDataset()
    if not raw.is_dir():
        dataset.refuse(raw, "this folder does not exist", "give the folder that holds train/")
        return dataset
    _scan_train(raw, num_classes, dataset)
    _scan_test(raw, num_classes, dataset)
    _check_names(dataset)
    return dataset


def _scan_train(raw: Path, num_classes: int, dataset: RawDataset) -> None:
    train = raw / "train"
    if not train.is_dir():
        dataset.refuse(train, "this folder does not exist", "put the training images there")
        return
    folders = []
    for entry in _visible_entries(train):
        if entry.is_dir():
            folders.append(entry)
        else:
            dataset.warnings.append(f"train/{entry.name} is not a folder and was ignored.")
    if not folders:
        dataset.refuse(train, "it holds no image folder", "put train/<name>/image.tif there")
    for image_id, folder in enumerate(folders, start=1):
        image_path = folder / "image.tif"
        if not image_path.is_file():
            dataset.refuse(folder, "it holds no image.tif", "add the image or remove the folder")
        mask_paths = _class_files(folder, num_classes, dataset)
        name = _composed(folder.name)
        dataset.images.append(RawImage(name, "train", image_id, image_path, mask_paths))


def _scan_test(raw: Path, num_classes: int, dataset: RawDataset) -> None:
    release, truth, ids_file = raw / "test_release", raw / "test_gt", raw / TEST_IDS_FILE
    if not release.is_dir():
        if truth.is_dir():
            dataset.refuse(truth, "there is no test_release/ with its images", "add it")
        if ids_file.is_file():
            dataset.warnings.append(
                f"{TEST_IDS_FILE} is there, but test_release/ is not: there is no test split."
            )
        return
    tiffs = []
    for entry in _visible_entries(release):
        if entry.is_file() and entry.suffix == ".tif":
            tiffs.append(entry)
        else:
            dataset.warnings.append(f"test_release/{entry.name} is not a .tif and was ignored.")
    files = _by_name(tiffs, dataset)
    listed = _read_test_ids(ids_file, dataset)
    if listed is None:
        return
    for name in sorted(files.keys() - listed.keys()):
        dataset.refuse(files[name], f"{TEST_IDS_FILE} does not list it", "add its id or remove it")
    for name in sorted(listed.keys() - files.keys()):
        dataset.refuse(
            release / f"{name}.tif",
            f"this file is listed in {TEST_IDS_FILE} but does not exist",
            "add the image or remove its entry",
        )
    masks = _test_masks(truth, files, listed.keys(), num_classes, dataset)
    for name in sorted(files.keys() & listed.keys(), key=lambda name: listed[name][0]):
        image_id, size = listed[name]
        dataset.images.append(RawImage(name, "test", image_id, files[name], masks.get(name), size))


def _test_masks(
    truth: Path,
    files: Mapping[str, Path],
    listed: Collection[str],
    num_classes: int,
    dataset: RawDataset,
) -> dict[str, dict[int, Path]]:
    """Class files of each test image; empty if there is no truth."""
    if not truth.is_dir():
        return {}
    folders = _by_name(_visible_entries(truth), dataset)
    for name, entry in folders.items():
        if name not in files:
            dataset.refuse(entry, "no image of this name is in test_release/", "remove or add it")
    masks = {}
    for name in sorted(files.keys() & listed):
        folder = folders.get(name, truth / name)
        if folder.is_dir():
            masks[name] = _class_files(folder, num_classes, dataset)
        else:
            dataset.refuse(
                folder,
                "the truth of this test image is missing",
                "add its class files; an empty folder means an image without cells",
            )
    return masks


def _by_name(entries: Iterable[Path], dataset: RawDataset) -> dict[str, Path]:
    """Files and folders by their names without `.tif`, in one normal form of Unicode."""
    found: dict[str, Path] = {}
    for entry in entries:
        name = _composed(entry.name.removesuffix(".tif") if entry.is_file() else entry.name)
        if name in found:
            dataset.refuse(entry, f"its name is also that of {found[name]}", "remove one of them")
        found.setdefault(name, entry)
    return found


def _read_test_ids(
    path: Path, dataset: RawDataset
) -> dict[str, tuple[int, tuple[int, int] | None]] | None:
    """Map test image name → (id, stated size); None if the file is unusable."""
    problem = partial(dataset.refuse, path)
    if not path.is_file():
        problem("this file does not exist", "add it: it gives each image of test_release/ its id")
        return None
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problem(f"it is not readable JSON ({error})", "write it again")
        return None
    form = "make it a list of {file_name, id, height, width}"
    if not isinstance(entries, list):
        problem("it holds no list", form)
        return None
    listed: dict[str, tuple[int, tuple[int, int] | None]] = {}
    names_of_id: dict[int, list[str]] = defaultdict(list)
    for index, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        file_name, image_id = fields.get("file_name"), fields.get("id")
        height, width = fields.get("height"), fields.get("width")
        if not isinstance(file_name, str) or not _is_count(image_id):
            problem(f"entry {index} has no text `file_name` or no integer `id` ≥ 0", form)
            continue
        size = None
        if _is_count(height) and _is_count(width):
            size = (height, width)
        elif (height, width) != (None, None):
            problem(f"entry {index} ({file_name!r}) has no integer height and width", form)
            continue
        name = _composed(file_name.removesuffix(".tif"))
        if not file_name.endswith(".tif") or not is_safe_name(name):
            problem(
                f"entry {index} has the file name {file_name!r}",
                "name the file as it lies in test_release/, without a folder, ending in .tif",
            )
            continue
        if name in listed:
            problem(f"the name {file_name!r} is listed twice", "keep one entry")
            continue
        listed[name] = (image_id, size)
        names_of_id[image_id].append(file_name)
    for image_id, names in names_of_id.items():
        if len(names) > 1:
            problem(f"the id {image_id} is given to {', '.join(names)}", "give each its own id")
    return listed


def _class_files(folder: Path, num_classes: int, dataset: RawDataset) -> dict[int, Path]:
    """Find `classK.tif` in a folder; any other mask is a problem, as its cells would be lost."""
    found: dict[int, Path] = {}
    for entry in _visible_entries(folder):
        match = _CLASS_FILE.fullmatch(entry.name)
        if entry.name == "image.tif":
            continue
        if match and 1 <= int(match[1]) <= num_classes and entry.is_file():
            found[int(match[1])] = entry
        elif match and entry.is_file():
            dataset.refuse(
                entry,
                f"only {num_classes} classes have a name",
                "name all classes with --classes, or remove the file",
            )
        elif entry.suffix.lower() in (".tif", ".tiff"):
            dataset.refuse(
                entry,
                "its name means nothing here",
                f"rename it to image.tif or class1.tif … class{num_classes}.tif, or remove it",
            )
        elif _CLASS_FILE_OF_OTHERS.fullmatch(entry.name):
            dataset.refuse(
                entry, "masks are read from TIFF files only", "save it as one or remove it"
            )
        else:
            place = f"{folder.parent.name}/{folder.name}/{entry.name}"
            dataset.warnings.append(f"{place} is not a TIFF and was ignored.")
    return dict(sorted(found.items()))


def _check_names(dataset: RawDataset) -> None:
    """Report unsafe names, and names that are one file on some file systems."""
    same: dict[str, list[RawImage]] = defaultdict(list)
    for image in dataset.images:
        place = image.image_path.parent if image.part == "train" else image.image_path
        if not is_safe_name(image.name):
            dataset.refuse(
                place,
                f"the name {image.name!r} is not safe as a file name everywhere",
                f"rename it, with letters, digits, '_', '-' and '.', at most {_LONGEST_NAME} bytes",
            )
        same[image.name.casefold()].append(image)
    for images in same.values():
        for image in images[1:]:
            first = images[0]
            case = "" if image.name == first.name else ", apart from upper and lower case,"
            dataset.refuse(
                image.image_path,
                f"its name{case} is also that of {first.image_path}",
                "rename or remove one of them",
            )


def _visible_entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _composed(name: str) -> str:
    """A name in the normal form NFC: macOS hands out others than most programs write."""
    return unicodedata.normalize("NFC", name)


def is_safe_name(name: str) -> bool:
    """Whether an image's name can be a file's name on any system."""
    return bool(_SAFE_NAME.fullmatch(name)) and len(name.encode()) <= _LONGEST_NAME


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
