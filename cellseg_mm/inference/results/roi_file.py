"""Outlines for ImageJ's ROI manager."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import roifile

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink
from cellseg_mm.structures.palette import class_colour, rgb

MOST_CELLS = 50_000
"""ImageJ's ROI manager hardly moves with more."""


class _TooManyCellsError(Exception):
    """Leaves the block, so that no file appears."""


@contextmanager
def roi_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write a zip of ROIs, named by number and class.

    An outline runs along the edges of pixels; other cells inside it are not cut out. With more than
    ``MOST_CELLS`` cells the image gets a warning and no file; one of an earlier run is removed.
    """
    try:
        with atomic_write(path) as unfinished:
            with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
                rois = _Rois(archive, image)
                yield rois
            if rois.count > MOST_CELLS:
                raise _TooManyCellsError
    except _TooManyCellsError:
        path.unlink(missing_ok=True)
        image.warnings.append(
            f"{image.name} has {rois.count:,} cells, more than the {MOST_CELLS:,} that ImageJ's "
            f"ROI manager can handle, so {path.name} was not written: open the label map instead."
        )


class _Rois:
    def __init__(self, archive: zipfile.ZipFile, image: ResultImage) -> None:
        self._archive = archive
        self._image = image
        self.count = 0

    def add(self, batch: ResultCells) -> None:
        for cell in batch.cells:
            self.count += 1
            if self.count <= MOST_CELLS:
                name = f"{cell.number:05d}_{self._image.classes[cell.label]}".replace("/", "-")
                # A date of its own would make each run's file differ.
                entry = zipfile.ZipInfo(f"{name}.roi")
                entry.compress_type = zipfile.ZIP_DEFLATED
                self._archive.writestr(entry, _roi(cell, name).tobytes())


def _roi(cell: ResultCell, name: str) -> roifile.ImagejRoi:
    roi = roifile.ImagejRoi.frompoints(cell.rings[0], name=name)
    roi.roitype = roifile.ROI_TYPE.TRACED
    roi.stroke_color = bytes([255, *rgb(class_colour(cell.label))])
    return roi
