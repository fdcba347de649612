"""From the raw layout to the prepared one: check everything, decide, then write."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.audit import (
    audit_markdown,
    finding_record,
    image_record,
    image_statistics,
    part_record,
)
from cellseg_mm.preparation.channel_order import ChannelOrder, as_record, vote_channel_order
from cellseg_mm.preparation.class_table import IGNORE, ClassTable, read_class_table
from cellseg_mm.preparation.coco_annotations import coco_dataset
from cellseg_mm.preparation.findings.all_checks import check_images
from cellseg_mm.preparation.findings.finding import Finding
from cellseg_mm.preparation.findings.split import find_split
from cellseg_mm.preparation.formats.recognise import format_of
from cellseg_mm.preparation.image_fingerprint import same_images
from cellseg_mm.preparation.image_groups import group_images, patient_of
from cellseg_mm.preparation.image_inspection import ImageInspection, ImageInspector
from cellseg_mm.preparation.image_writer import ImageWriter, WrittenImage
from cellseg_mm.preparation.ordered_map import ordered_map
from cellseg_mm.preparation.prepared_folder import (
    AUDIT_FILE,
    FORMAT,
    SPLITS_FOLDER,
    replaced_folder,
)
from cellseg_mm.preparation.problems import BadFileError, InputError, Problem
from cellseg_mm.preparation.raw_facts import ImageFacts, RawFacts, read_facts
from cellseg_mm.preparation.raw_layout import RawImage, scan_raw_folder
from cellseg_mm.preparation.splits import (
    Fold,
    SplitArguments,
    draw_folds,
    read_split,
    write_split,
)
from cellseg_mm.preparation.unlabelled_cells import UnlabelledCells

DEFAULT_CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")


@dataclass(frozen=True)
class PrepareOptions:
    """How to prepare a data set.

    Attributes:
        raw: Folder in the raw layout.
        out: Folder to write, in the prepared layout.
        classes: Class names; class K is `classK.tif`. None are those of the raw folder's
            `dataset.json`, or else :data:`DEFAULT_CLASSES`.
        class_table: File with the classes of the prepared data set by those names; None = the same.
        unlabelled: Finds cells without a label in the images for training, which are then ignored;
            its `names` are set here. None = what has no label is background.
        val_fraction: Share of the training images for validation, 0 ≤ f < 1; unused with folds.
        folds: Number of folds k ≥ 2, or None.
        fold: The fold, from 0, whose images are for validation.
        group_regex: Finds the patient in an image's name; None takes those of `dataset.json` and
            recognises TCGA barcodes.
        channel_order: Of the raw files; "auto" is what `dataset.json` says, or the images' vote.
        seed: Seed of the split.
        workers: Number of processes.
        show_progress: Whether to draw progress bars.
    """

    raw: Path
    out: Path
    classes: tuple[str, ...] = ()
    class_table: Path | None = None
    unlabelled: UnlabelledCells | None = None
    val_fraction: float = 0.05
    folds: int | None = None
    fold: int = 0
    group_regex: str | None = None
    channel_order: Literal["auto", "rgb", "bgr"] = "auto"
    seed: int = 0
    workers: int = 1
    show_progress: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is out of its range.
        """
        if not 0 <= self.val_fraction < 1:
            raise UserError(f"--val-fraction is {self.val_fraction}; give 0 ≤ fraction < 1.")
        if self.folds is not None and self.folds < 2:
            raise UserError(f"--folds is {self.folds}; give 2 or more.")
        if self.folds is not None and not 0 <= self.fold < self.folds:
            raise UserError(f"--fold is {self.fold}; give 0 to {self.folds - 1}.")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; give 0 or more.")
        if self.workers < 1:
            raise UserError(f"--workers is {self.workers}; give 1 or more.")
        if not all(self.classes) or len(set(self.classes)) < len(self.classes):
            raise UserError(f"--classes is {','.join(self.classes)!r}; give distinct names.")
        try:
            re.compile(self.group_regex or "")
        except re.error as error:
            raise UserError(
                f"--group-regex {self.group_regex!r} is no regular expression ({error})."
            ) from error

    @property
    def split_arguments(self) -> SplitArguments:
        """The options that determine the split."""
        return SplitArguments(self.val_fraction, self.folds, self.seed, self.group_regex)


def prepare_dataset(
    options: PrepareOptions, write_page: Callable[[Path, dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Write a data set in the prepared layout, whole or not at all.

    The same raw files and options give the same bytes, whatever the number of processes. A split
    file that is in the output already is used again, and all split files there are kept.

    `write_page` writes `audit.html` into the folder, from the audit; None = no page.

    Returns:
        The audit, as in `audit.json`.

    Raises:
        InputError: The raw folder or the output folder cannot be used; it lists all reasons.
    """
    with replaced_folder(options.out, options.raw) as folder:
        options, facts, classes_assumed = _with_facts(options)
        table = ClassTable.unchanged(options.classes)
        if options.class_table is not None:
            table = read_class_table(options.class_table, options.classes)
        images, inspections, findings = _check(options, facts, table)
        same = same_images(
            [r.content for r in inspections],
            [r.fingerprint for r in inspections],
            [(r.height, r.width) for r in inspections],
        )
        train = [inspection for inspection in inspections if inspection.part == "train"]
        order = _channel_order(options, train)
        groups = _groups(images, inspections, same)
        _copy_splits(options.out, folder)
        folds = _folds(options, folder, train, groups, len(table.targets))
        fold = folds[options.fold if options.folds else 0]
        unlabelled = options.unlabelled and options.unlabelled.of_images(fold.train)

        for name in ("images/train", "images/test", "labels", "annotations"):
            (folder / name).mkdir(parents=True)
        writer = ImageWriter(folder, order.order, table, unlabelled)
        try:
            written = list(
                ordered_map(writer, images, options.workers, "write", options.show_progress)
            )
        except BadFileError as error:
            raise InputError(error.problem) from error
        ignored = _write_annotations(folder, images, written, fold, table.targets)

        share = 1 / options.folds if options.folds else options.val_fraction
        findings += check_images(images, inspections, same, facts.findings, table.targets)
        findings += [Finding("Channel order", order.doubt)] if order.doubt else []
        findings += find_split(fold, train, groups, table.targets, share, table.annotated)
        findings += _unmatched_groups(options, images)
        audit = _audit(options, table, inspections, order, groups, fold, findings)
        audit["classes_assumed"] = classes_assumed
        if any(ignored.values()):
            audit["ignored"] = ignored
        _write_json(folder / AUDIT_FILE, audit, indent=1)
        (folder / "audit.md").write_text(audit_markdown(audit), encoding="utf-8")
        if write_page is not None:
            write_page(folder, audit)
    return audit


def _with_facts(options: PrepareOptions) -> tuple[PrepareOptions, RawFacts, bool]:
    """Read `dataset.json`, and take from it what the user has not said.

    Returns:
        The options, completed; the facts; whether neither names the classes.
    """
    try:
        facts = read_facts(options.raw)
    except BadFileError as error:
        raise InputError(error.problem) from error
    order = options.channel_order
    if order == "auto" and facts.channel_order is not None:
        order = facts.channel_order
    stated = options.classes or facts.classes
    completed = replace(options, classes=stated or DEFAULT_CLASSES, channel_order=order)
    return completed, facts, not stated


def _check(
    options: PrepareOptions, facts: RawFacts, table: ClassTable
) -> tuple[list[RawImage], list[ImageInspection], list[Finding]]:
    """Read every file; raise one error that lists all problems."""
    dataset = scan_raw_folder(options.raw, len(options.classes))
    problems = list(dataset.problems)
    if not dataset.images and (name := format_of(options.raw)):
        what = f"it is no raw layout, and looks like the format {name!r}"
        command = f"python data_prep/convert.py {name} {options.raw} OUT"
        problems = [Problem(options.raw, what, f"convert it with `{command}`, and prepare OUT")]
    inspections: list[ImageInspection] = []
    readable = [image for image in dataset.images if image.image_path.is_file()]
    inspector = ImageInspector(table.numbers)
    for result in ordered_map(inspector, readable, options.workers, "check", options.show_progress):
        if isinstance(result, ImageInspection):
            inspections.append(result)
        else:
            problems += result
    if problems:
        raise InputError(*problems)
    images = []
    for image in dataset.images:
        known = facts.images.get(image.name, ImageFacts())
        patient = None if options.group_regex is not None else known.patient
        patient = patient or patient_of(image.name, options.group_regex)
        images.append(replace(image, patient=patient, mpp=known.mpp))
    findings = [Finding("Files that were ignored", warning) for warning in dataset.warnings]
    return images, inspections, findings


def _groups(
    images: Sequence[RawImage], inspections: Sequence[ImageInspection], same: Sequence[int]
) -> list[str]:
    """The group of each training image; images that show the same belong together."""
    numbers = [n for n, image in enumerate(images) if image.part == "train"]
    return group_images(
        [images[n].name for n in numbers],
        [inspections[same[n]].content for n in numbers],
        [images[n].patient for n in numbers],
    )


def _unmatched_groups(options: PrepareOptions, images: Sequence[RawImage]) -> list[Finding]:
    train = [image for image in images if image.part == "train"]
    unmatched = [image.name for image in train if image.patient is None]
    if options.group_regex is None or not unmatched:
        return []
    sentence = (
        f"--group-regex matches {len(train) - len(unmatched)} of {len(train)} training images; the "
        f"others, such as {unmatched[0]}, are groups of their own."
    )
    return [Finding("Patients", sentence)]


def _channel_order(options: PrepareOptions, train: Sequence[ImageInspection]) -> ChannelOrder:
    stated = None if options.channel_order == "auto" else options.channel_order
    order = vote_channel_order([inspection.blue_excess for inspection in train], stated)
    if order is None:
        raise InputError(
            Problem(
                options.raw,
                "its images do not tell their channel order, as none has cells with other "
                "tissue around them",
                "state --channel-order rgb or bgr",
            )
        )
    return order


def _copy_splits(out: Path, folder: Path) -> None:
    """Take over the split files of the earlier output."""
    earlier = out / SPLITS_FOLDER
    if earlier.is_dir():
        shutil.copytree(earlier, folder / SPLITS_FOLDER)
    else:
        (folder / SPLITS_FOLDER).mkdir()


def _folds(
    options: PrepareOptions,
    folder: Path,
    train: Sequence[ImageInspection],
    groups: Sequence[str],
    classes: int,
) -> list[Fold]:
    """Read the split file of these arguments, or draw the split and write the file."""
    arguments = options.split_arguments
    names = [inspection.name for inspection in train]
    path = folder / SPLITS_FOLDER / arguments.file_name
    if path.exists():
        try:
            return read_split(path, arguments.folds or 1, names)
        except BadFileError as error:
            # The user knows the file by its place in the output.
            original = options.out / SPLITS_FOLDER / path.name
            raise InputError(error.problem._replace(path=original)) from error
    counts = np.array([np.bincount(r.classes, minlength=classes + 1)[1:] for r in train])
    try:
        folds = draw_folds(names, groups, counts, arguments)
    except ValueError as error:
        what, _, remedy = str(error).rstrip(".").partition(": ")
        raise InputError(Problem(options.raw / "train", what, remedy)) from error
    write_split(path, arguments, folds)
    return folds


def _write_annotations(
    folder: Path,
    images: Sequence[RawImage],
    written: Sequence[WrittenImage],
    fold: Fold,
    classes: Sequence[str],
) -> dict[str, int]:
    """Write the COCO files; returns the number of ignored cells of each part."""
    in_val = set(fold.val)
    parts: dict[str, list[WrittenImage]] = {"train": [], "val": [], "test": []}
    for image, records in zip(images, written, strict=True):
        validates = image.part == "train" and image.name in in_val
        parts["val" if validates else image.part].append(records)
    ignored = {}
    for part, members in parts.items():
        ignored[part] = sum(a["iscrowd"] for member in members for a in member.annotations)
        annotations = (record for member in members for record in member.annotations)
        dataset = coco_dataset([member.image for member in members], annotations, classes)
        _write_json(folder / "annotations" / f"{part}.json", dataset)
    return ignored


def _audit(
    options: PrepareOptions,
    table: ClassTable,
    inspections: Sequence[ImageInspection],
    order: ChannelOrder,
    groups: Sequence[str],
    fold: Fold,
    findings: Sequence[Finding],
) -> dict[str, Any]:
    train = [r for r in inspections if r.part == "train"]
    in_val = set(fold.val)
    parts = {
        "train": [r for r in train if r.name not in in_val],
        "val": [r for r in train if r.name in in_val],
        "test": [r for r in inspections if r.part == "test"],
    }
    classes = table.targets
    translated = {
        name: classes[number - 1] if number else IGNORE
        for name, number in zip(options.classes, table.numbers, strict=True)
    }
    return {
        "format": FORMAT,
        "raw": options.raw.resolve().name,
        "classes": list(classes),
        **({"class_table": translated} if options.class_table is not None else {}),
        "channel_order": as_record(order),
        "split": {
            "file": f"{SPLITS_FOLDER}/{options.split_arguments.file_name}",
            "fold": options.fold if options.folds else None,
            "groups": len(set(groups)),
            "parts": {name: part_record(part, classes) for name, part in parts.items()},
        },
        "warnings": [finding.sentence for finding in findings],
        "findings": [finding_record(finding) for finding in findings],
        "statistics": {
            "train": image_statistics(train, classes),
            "test": image_statistics(parts["test"], classes),
        },
        "images": [image_record(inspection, options.classes) for inspection in inspections],
    }


def _write_json(path: Path, record: dict[str, Any], indent: int | None = None) -> None:
    path.write_text(json.dumps(record, indent=indent, allow_nan=False) + "\n", encoding="utf-8")
