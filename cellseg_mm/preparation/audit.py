"""The audit of a data set: what it holds and what deserves a look, for programs and for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cellseg_mm.files.markdown_table import markdown_table
from cellseg_mm.preparation.dataset_statistics import statistics
from cellseg_mm.preparation.image_inspection import ImageInspection
from cellseg_mm.preparation.raw_layout import RawImage
from cellseg_mm.preparation.splits import Fold

Record = dict[str, Any]

TINY_AREA = 10
"""Pixels: an instance below this is more likely a stray than a cell."""


def image_record(inspection: ImageInspection, classes: Sequence[str]) -> Record:
    """What `audit.json` says of one image."""
    record: Record = {
        "name": inspection.name,
        "part": inspection.part,
        "height": inspection.height,
        "width": inspection.width,
        "channels": inspection.channels,
        "dtype": inspection.dtype,
        "alpha": inspection.alpha,
        "sha256": inspection.content,
        "blue_excess": None if inspection.blue_excess is None else round(inspection.blue_excess, 2),
    }
    if inspection.class_files is None:
        return record | {"classes": None}
    return record | {
        "classes": {
            classes[number - 1]: {
                "file": file.state,
                "dtype": file.dtype,
                "instances": file.instances,
            }
            for number, file in inspection.class_files.items()
        },
        "instances": len(inspection.classes),
        "shared_ids": inspection.shared_ids,
        "overlap_pixels": inspection.overlap_pixels,
        "fragmented_instances": inspection.fragmented,
        "tiny_instances": int(np.count_nonzero(inspection.areas < TINY_AREA)),
    }


def image_statistics(inspections: Sequence[ImageInspection], classes: Sequence[str]) -> Record:
    """Numbers over a set of images, as :func:`statistics` gives them."""
    images = pd.DataFrame(
        [(r.height, r.width, r.class_files is not None) for r in inspections],
        columns=["height", "width", "with_truth"],
    )
    cells = pd.DataFrame(
        [
            (number, label - 1, area, side)
            for number, r in enumerate(inspections)
            for label, area, side in zip(r.classes, r.areas, r.box_sides, strict=True)
        ],
        columns=["image", "label", "area", "box_side"],
    )
    return statistics(images, cells, classes)


def part_record(inspections: Sequence[ImageInspection], classes: Sequence[str]) -> Record:
    """Composition of one part of a split: images and instances of each class."""
    found = image_statistics(inspections, classes)
    instances = {name: record["instances"] for name, record in found["classes"].items()}
    return {"images": found["images"], "instances": instances}


def find_warnings(images: Sequence[RawImage], inspections: Sequence[ImageInspection]) -> list[str]:
    """What deserves a look in the images of a data set, worst first, one sentence each."""
    warnings: list[str] = []
    same: dict[str, list[str]] = defaultdict(list)
    parts_of_patient: dict[str, set[str]] = defaultdict(set)
    for image, inspection in zip(images, inspections, strict=True):
        same[inspection.content].append(f"{inspection.part}/{inspection.name}")
        if image.patient is not None:
            parts_of_patient[image.patient].add(inspection.part)
    for names in same.values():
        if len(names) > 1:
            warnings.append(f"The same pixels are in {_list(names)}.")
    for inspection in inspections:
        ids = inspection.shared_ids
        if ids:
            warnings.append(
                f"{inspection.part}/{inspection.name} uses {len(ids)} ids in more than one class "
                f"({_list(map(str, ids))}): they are taken as separate instances."
            )
    shared = sorted(patient for patient, parts in parts_of_patient.items() if len(parts) > 1)
    if shared:
        warnings.append(
            f"{_count(shared, 'patient')} with images in train and test ({_list(shared)}): test "
            "scores say less about new patients."
        )
    with_truth = [inspection for inspection in inspections if inspection.class_files is not None]
    alpha = [r for r in inspections if r.alpha == "not opaque"]
    empty = [r for r in with_truth if not len(r.classes)]
    overlapping = [r for r in with_truth if r.overlap_pixels]
    fragmented = [r for r in with_truth if r.fragmented]
    tiny = [r for r in with_truth if (r.areas < TINY_AREA).any()]
    for chosen, what in (
        (alpha, "an alpha channel that is not 255 everywhere (dropped)"),
        (empty, "no cell at all"),
        (overlapping, "overlapping class files (every pixel is kept)"),
        (fragmented, "cells of several pieces (each is kept as one instance)"),
        (tiny, f"cells of fewer than {TINY_AREA} pixels"),
    ):
        if chosen:
            names = [f"{inspection.part}/{inspection.name}" for inspection in chosen]
            warnings.append(f"{_count(names, 'image')} with {what}: {_list(names)}.")
    return warnings


def split_warnings(
    fold: Fold,
    inspections: Sequence[ImageInspection],
    groups: Sequence[str],
    classes: Sequence[str],
    val_fraction: float,
    annotated: Sequence[int] | None = None,
) -> list[str]:
    """What deserves a look in a split of the training images.

    Args:
        fold: The split.
        inspections: Inspections of the training images.
        groups: Group of each of them.
        classes: Class names.
        val_fraction: The share of validation images that was asked for.
        annotated: Numbers, from 1, of the classes that the data set annotates; None = all.
    """
    warnings: list[str] = []
    if not fold.val:
        reason = (
            "there is only one image, and it goes to training"
            if len(inspections) == 1
            else "the validation fraction is 0"
        )
        return [f"The validation part is empty: {reason}. Train without validation."]
    in_val = set(fold.val)
    train: set[str] = set()
    val: set[str] = set()
    for inspection, group in zip(inspections, groups, strict=True):
        (val if inspection.name in in_val else train).add(group)
    if leaked := sorted(train & val):
        names = [key.partition(":")[2] for key in leaked]
        warnings.append(
            f"{_count(names, 'patient')} with images in training and validation "
            f"({_list(names)}): validation scores will be too good."
        )
    for part, in_part in (("training", False), ("validation", True)):
        counts = part_record([r for r in inspections if (r.name in in_val) == in_part], classes)
        missing = [
            name
            for number, (name, count) in enumerate(counts["instances"].items(), start=1)
            if not count and (annotated is None or number in annotated)
        ]
        if missing:
            warnings.append(f"No {part} image has the class {_list(missing)}.")
    share = len(fold.val) / len(inspections)
    if abs(share - val_fraction) > max(0.05, 1 / len(inspections)):
        warnings.append(
            f"Validation has {share:.0%} of the images, not {val_fraction:.0%}: patients stay "
            "together, and rare classes should be in both parts."
        )
    return warnings


def audit_markdown(audit: Record) -> str:
    """The audit as people read it."""
    classes: list[str] = audit["classes"]
    order, split = audit["channel_order"], audit["split"]
    lines = ["# Audit of the prepared data", ""]
    lines += ["## Warnings", ""]
    lines += [f"- {warning}" for warning in audit["warnings"]] or ["None."]
    lines += [
        "",
        "## Channel order",
        "",
        f"The raw files are **{order['order'].upper()}**, decided by {order['decided_by']}: "
        f"{order['rgb_votes']} images look like RGB, {order['bgr_votes']} like BGR, "
        f"{order['abstentions']} cannot tell. The prepared images are RGB.",
        "",
        "## Split",
        "",
        f"From `{split['file']}`"
        + (f", fold {split['fold']}" if split["fold"] is not None else "")
        + f"; {split['groups']} groups (patients, or single images) in training and validation.",
        "",
    ]
    if "class_table" in audit:
        table = list(audit["class_table"].items())
        lines += ["## Classes", "", markdown_table(["class of the data", "becomes"], table), ""]
    if "ignored" in audit:
        numbers = ", ".join(f"{part} {number}" for part, number in audit["ignored"].items())
        lines += [f"Ignored cells, neither cell nor background: {numbers}.", ""]
    rows = []
    for part in ("train", "val", "test"):
        record = split["parts"][part]
        known = part != "test" or audit["statistics"]["test"]["images_with_truth"]
        counts = [record["instances"][name] if known else "–" for name in classes]
        rows.append([part, record["images"], *counts])
    lines.append(markdown_table(["part", "images", *classes], rows))
    for part, title in (("train", "Training and validation images"), ("test", "Test images")):
        stats = audit["statistics"][part]
        if stats["images"]:
            lines += ["", f"## {title}", "", *_statistics_lines(stats)]
    sources = list(audit.get("class_table", classes))  # images are described as they came
    lines += ["", "## Images", "", _image_table(audit["images"], sources)]
    return "\n".join(lines) + "\n"


def _statistics_lines(stats: Record) -> list[str]:
    rows = [("image height", stats["height"]), ("image width", stats["width"])]
    by_class = [*stats["classes"].items(), ("all classes", stats["all_classes"])]
    if stats["images_with_truth"]:
        rows.append(("cells an image", stats["instances_per_image"]))
        for what, key in (("area", "area"), ("longer box side", "box_side")):
            rows += [(f"{what}, {name}", r[key]) for name, r in by_class if r["instances"]]
    quantiles = [[name, *map(_plain, values.values())] for name, values in rows]
    lines = [markdown_table(["pixels or cells", *stats["height"]], quantiles)]
    if stats["images_with_truth"]:
        counts = [[name, record["instances"], record["images"]] for name, record in by_class]
        counts[-1][0] = "all"
        lines += ["", markdown_table(["class", "instances", "images with it"], counts)]
    return lines


def _image_table(images: Sequence[Record], classes: Sequence[str]) -> str:
    header = ["image", "height", "width", "channels", "alpha", *classes]
    header += ["mask types", "overlap px", "shared ids", "in pieces", "tiny"]
    rows = []
    for image in images:
        row = [f"{image['part']}/{image['name']}", image["height"], image["width"]]
        row += [image["channels"], image["alpha"]]
        if image["classes"] is None:
            rows.append([*row, *["–"] * (len(classes) + 5)])
            continue
        files = image["classes"].values()
        row += [f["instances"] if f["file"] == "present" else f["file"] for f in files]
        row.append(", ".join(sorted({f["dtype"] for f in files if f["dtype"]})))
        row += [image["overlap_pixels"], len(image["shared_ids"])]
        row += [image["fragmented_instances"], image["tiny_instances"]]
        rows.append(row)
    return markdown_table(header, rows)


def _plain(value: float) -> str:
    """Whole numbers as such, for the reader's sake."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _count(names: Sequence[str], noun: str) -> str:
    return f"{len(names)} {noun}{'s' if len(names) != 1 else ''}"


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
