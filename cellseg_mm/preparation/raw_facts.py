"""`dataset.json` of a raw folder: what is known of the images beside their pixels and cells.

`data_prep/convert.py` writes it, `data_prep/prepare.py` reads it. It is optional, and all of its
keys are::

    {
      "classes": ["epithelial", …],                     names of class1.tif, class2.tif, …
      "channel_order": "bgr",                           of all images
      "images": {"<name>": {"patient": "…", "mpp": 0.25}},
      "findings": [{"image": "<name>", "kind": "…", "cells": 3, "places": [[x, y], …]}]
    }

`mpp` is µm per pixel. `findings` are what a converter sees in the annotations that the raw layout
cannot show, for the audit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from cellseg_mm.preparation.problems import reading

FACTS_FILE = "dataset.json"

CellNote = Literal["outside", "cut off", "self-crossing", "repeated"]
"""What a converter notes of a cell; :mod:`.odd_annotations` says when."""


class NotedCells(NamedTuple):
    """Cells of an image with one kind of oddity in their annotation.

    Attributes:
        image: Name of the image.
        kind: The oddity.
        cells: How many.
        places: x and y of the first of them, pixels; they may lie outside of the image.
    """

    image: str
    kind: CellNote
    cells: int
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image.

    Attributes:
        patient: Whose tissue it is, or None.
        mpp: µm per pixel, or None.
    """

    patient: str | None = None
    mpp: float | None = None


@dataclass(frozen=True)
class RawFacts:
    """What `dataset.json` says.

    Attributes:
        classes: Names of the classes, or None.
        channel_order: Of all images, or None.
        images: By the image's name.
        findings: What the conversion noted.
    """

    classes: tuple[str, ...] | None = None
    channel_order: Literal["rgb", "bgr"] | None = None
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    findings: list[NotedCells] = field(default_factory=list)

    def write(self, raw: Path) -> None:
        """Write the file into a raw folder."""
        record = asdict(self)
        record["images"] = {
            name: {key: value for key, value in facts.items() if value is not None}
            for name, facts in record["images"].items()
        }
        record["findings"] = [note._asdict() for note in self.findings]
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        (raw / FACTS_FILE).write_text(text + "\n", encoding="utf-8")


def read_facts(raw: Path) -> RawFacts:
    """Read the file of a raw folder; where there is none, nothing is known.

    Raises:
        BadFileError: It is not in the form above.
    """
    path = raw / FACTS_FILE
    if not path.exists():
        return RawFacts()
    remedy = "correct it, or convert the data set again"
    errors = (OSError, ValueError, AttributeError, KeyError, OverflowError, TypeError)
    with reading(path, "it is not readable", remedy, *errors, RecursionError):
        record = json.loads(path.read_text(encoding="utf-8-sig"))
        classes = record.get("classes")
        images = {
            name: ImageFacts(_text(facts.get("patient")), _mpp(facts.get("mpp")))
            for name, facts in record.get("images", {}).items()
        }
        order = record.get("channel_order")
        if order not in (None, "rgb", "bgr"):
            raise ValueError(f"channel_order is {order!r}, not rgb or bgr")
        if classes is not None and not (
            isinstance(classes, list) and all(isinstance(c, str) and c for c in classes)
        ):
            raise ValueError("classes is no list of names")
        findings = record.get("findings", [])
        if not isinstance(findings, list):
            raise ValueError("findings is no list")
        notes = [_note(finding) for finding in findings]
    return RawFacts(None if classes is None else tuple(classes), order, images, notes)


def _note(finding: dict[str, Any]) -> NotedCells:
    image, kind, cells = finding["image"], finding["kind"], finding["cells"]
    if not isinstance(image, str) or kind not in get_args(CellNote):
        raise ValueError(f"a finding is {kind!r} of {image!r}")
    if not isinstance(cells, int) or cells < 1:
        raise ValueError(f"a finding counts {cells!r} cells")
    places = tuple((float(x), float(y)) for x, y in finding["places"])
    if not all(map(math.isfinite, (value for place in places for value in place))):
        raise ValueError("a finding's place is not finite")
    return NotedCells(image, kind, cells, places)


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(f"a patient is {value!r}, not text")


def _mpp(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1000:
        return float(value)
    raise ValueError(f"an mpp is {value!r}, not µm per pixel")
