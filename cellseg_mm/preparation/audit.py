"""The audit of a data set: what it holds and what deserves a look, for programs and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cellseg_mm.files.markdown_table import markdown_table
from cellseg_mm.preparation.dataset_statistics import statistics
from cellseg_mm.preparation.findings.finding import Finding
from cellseg_mm.preparation.findings.odd_cells import TINY_AREA
from cellseg_mm.preparation.image_inspection import ImageInspection

Record = dict[str, Any]


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
        "instances": int(np.count_nonzero(inspection.classes)),
        "shared_ids": inspection.shared_ids,
        "overlap_pixels": inspection.overlap_pixels,
        "fragmented_instances": len(inspection.fragmented),
        "tiny_instances": int(
            np.count_nonzero((inspection.areas < TINY_AREA) & (inspection.classes > 0))
        ),
    }


def finding_record(finding: Finding) -> Record:
    """What `audit.json` says of one finding; its sentence is also among the warnings."""
    places = [
        place._asdict() | {"box": place.box and list(place.box), "cells": list(place.cells)}
        for place in finding.places
    ]
    return {"title": finding.title, "sentence": finding.sentence, "places": places}


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
            for label, area, side in np.stack([r.classes, r.areas, r.box_sides], 1).tolist()
            if label
        ],
        columns=["image", "label", "area", "box_side"],
    )
    return statistics(images, cells, classes)


def part_record(inspections: Sequence[ImageInspection], classes: Sequence[str]) -> Record:
    """Composition of one part of a split: images and instances of each class."""
    found = image_statistics(inspections, classes)
    instances = {name: record["instances"] for name, record in found["classes"].items()}
    return {"images": found["images"], "instances": instances}


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
