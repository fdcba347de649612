"""The files that results are written to, by the name of their format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

from cellseg_mm.errors import UserError
from cellseg_mm.inference.results.cell_counts import CellCounts
from cellseg_mm.inference.results.geojson_file import geojson_file
from cellseg_mm.inference.results.label_map_file import label_map_file
from cellseg_mm.inference.results.measurements import measure_cells
from cellseg_mm.inference.results.overlay_file import overlay_file
from cellseg_mm.inference.results.result_cell import ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink
from cellseg_mm.inference.results.roi_file import roi_file
from cellseg_mm.inference.results.table_files import csv_file, parquet_file
from cellseg_mm.inference.results.unique_cells import at_full_resolution, unique_cells
from cellseg_mm.models.test_time.tiles import FoundCells


class Format(NamedTuple):
    """How results are written.

    Attributes:
        ending: What follows the image's name in the file's.
        open: Opens the file to write cells to; it appears when the context ends without an error.
    """

    ending: str
    open: Callable[[Path, ResultImage], AbstractContextManager[ResultSink]]


FORMATS = {
    "geojson": Format(".geojson", geojson_file),
    "geojson.gz": Format(".geojson.gz", geojson_file),
    "labels": Format("_labels.ome.tif", label_map_file),
    "csv": Format(".csv", csv_file),
    "parquet": Format(".parquet", parquet_file),
    "roi": Format("_rois.zip", roi_file),
    "overlay": Format("_overlay.png", overlay_file),
    "overlay.jpg": Format("_overlay.jpg", overlay_file),
}
"""Formats by name."""

DEFAULT_FORMATS = ("geojson", "labels", "csv", "parquet", "roi", "overlay")
"""One of each kind."""


def check_formats(names: Iterable[str]) -> None:
    """Refuse formats that are not known.

    Raises:
        UserError: It lists those that are.
    """
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f"{name} is not a format of results: choose from {', '.join(FORMATS)}, with blanks "
                "between them."
            )


def result_paths(folder: Path, stem: str, formats: Sequence[str]) -> list[Path]:
    """The files that :func:`write_results` writes; ROIs are missing where there are too many."""
    check_formats(formats)
    return [folder / f"{stem}{FORMATS[name].ending}" for name in formats]


def result_cells(
    batches: Iterable[FoundCells], image: ResultImage, scale_x: float = 1.0, scale_y: float = 1.0
) -> Iterator[ResultCells]:
    """Make the cells of the results out of detections.

    Args:
        batches: What :func:`~cellseg_mm.models.test_time.tiles.merge_tiles` gives, without those
            whose score is too low.
        image: The image.
        scale_x: Pixels of the image for each pixel of the view that the batches lie in.
        scale_y: As ``scale_x``.
    """
    full = at_full_resolution(batches, scale_x, scale_y, image.width, image.height)
    return measure_cells(unique_cells(full, len(image.classes)), image)


def write_results(
    batches: Iterable[ResultCells],
    folder: Path,
    image: ResultImage,
    formats: Sequence[str],
    stem: str | None = None,
) -> CellCounts:
    """Write the cells of an image as they come.

    Files appear when all are written, and do not after an error.

    Args:
        batches: What :func:`result_cells` gives.
        folder: Where files are written; made if absent.
        image: The image. Its warnings may grow.
        formats: Names out of ``FORMATS``.
        stem: Of the files' names; None = the image's name.

    Returns:
        How many cells there are.

    Raises:
        UserError: A format is not known.
    """
    counts = CellCounts(image)
    folder.mkdir(parents=True, exist_ok=True)
    paths = result_paths(folder, image.name if stem is None else stem, formats)
    with ExitStack() as stack:
        sinks: list[ResultSink] = [counts]
        for name, path in zip(formats, paths, strict=True):
            sinks.append(stack.enter_context(FORMATS[name].open(path, image)))
        for batch in batches:
            for sink in sinks:
                sink.add(batch)
    return counts
