"""The audit of a prepared data set as a page: `audit.html`, with pictures of what is odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cellseg_mm.files.rgb_file import RgbImage, read_rgb
from cellseg_mm.preparation.findings.finding import MOST_PLACES
from cellseg_mm.preparation.prepared_folder import AUDIT_PAGE
from cellseg_mm.reporting.crop_window import crop_window
from cellseg_mm.reporting.image_files import jpeg_data_uri
from cellseg_mm.reporting.render import render
from cellseg_mm.structures.cell_crops import cells_from_planes
from cellseg_mm.structures.palette import rgb
from cellseg_mm.structures.planes import read_planes
from cellseg_mm.visualization.outlines import draw_outlines

CELL_COLOUR = "#00e5ff"
ODD_COLOUR = "#fff04d"

_PICTURE_SIDE = 240
_NO_PLANES = np.zeros((0, 0, 0), np.int32)


def write_audit_page(folder: Path, audit: Mapping[str, Any]) -> None:
    """Write `audit.html` into a prepared folder.

    Args:
        folder: The folder, with `images/` and `labels/`.
        audit: What `audit.json` holds.
    """
    findings = [dict(finding) for finding in audit["findings"]]
    for finding, sources in zip(findings, _sources(folder, findings), strict=True):
        finding["pictures"] = list(zip(finding["places"], sources, strict=True))
    page = render(
        "audit.html",
        audit=audit,
        findings=[
            (title, list(members))
            for title, members in groupby(findings, key=lambda finding: finding["title"])
        ],
        most_places=MOST_PLACES,
        cell_colour=CELL_COLOUR,
        odd_colour=ODD_COLOUR,
    )
    (folder / AUDIT_PAGE).write_text(page, encoding="utf-8")


def _sources(folder: Path, findings: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A data URI for each place of each finding."""
    sources = [[""] * len(finding["places"]) for finding in findings]
    every = [
        (place, row, column)
        for row, finding in enumerate(findings)
        for column, place in enumerate(finding["places"])
    ]
    # Image by image, so that each is read once and only one is held.
    every.sort(key=lambda entry: entry[0]["image"])
    for image, entries in groupby(every, key=lambda entry: entry[0]["image"]):
        picture = read_rgb(folder / "images" / f"{image}.png")
        labels = folder / "labels" / f"{image.partition('/')[2]}.tif"
        planes = None
        for place, row, column in entries:
            if place["box"] is None:
                sources[row][column] = jpeg_data_uri(picture, 2 * _PICTURE_SIDE)
                continue
            if planes is None:
                planes = read_planes(labels) if labels.exists() else _NO_PLANES
            sources[row][column] = jpeg_data_uri(_draw(picture, planes, place))
    return sources


def _draw(picture: RgbImage, planes: np.ndarray, place: Mapping[str, Any]) -> RgbImage:
    """A place enlarged, with the outlines of its cells; those in question lie over the others."""
    x1, y1, x2, y2 = place["box"]
    left, top, side = crop_window((x1, y1, x2 - x1, y2 - y1), *picture.shape[:2])
    rows, columns = slice(top, top + side), slice(left, left + side)
    size = (_PICTURE_SIDE, _PICTURE_SIDE)
    crop = np.ascontiguousarray(picture[rows, columns])
    base = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC))
    shown = planes[:, rows, columns]
    numbers = np.unique(shown)
    cells = {cell.instance_id: cell for cell in cells_from_planes(shown, numbers[numbers > 0])}
    odd = [number for number in place["cells"] if number in cells]
    order = [number for number in cells if number not in odd] + odd
    colours = [rgb(ODD_COLOUR if number in odd else CELL_COLOUR) for number in order]
    scale = _PICTURE_SIDE / side
    return draw_outlines(base, [cells[n] for n in order], colours, scale=scale, thickness=2)
