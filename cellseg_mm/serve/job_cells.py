"""The cells of jobs: made into an index when they are first needed, and kept open."""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from pathlib import Path

from cellseg_mm.readers.image_header import read_header
from cellseg_mm.serve.cell_index import CellIndex
from cellseg_mm.serve.cell_index_writer import write_index
from cellseg_mm.serve.geojson_cells import read_cells
from cellseg_mm.serve.job import DONE, Job
from cellseg_mm.serve.request_error import RequestError

INDEX = "cells"
"""Folder of the index, in the job's."""


class JobCells:
    """Gives the cells of jobs. Threads may share one."""

    def __init__(self) -> None:
        self._open: dict[str, CellIndex] = {}
        self._making: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, job: Job) -> CellIndex:
        """The cells of a job that is done.

        Raises:
            RequestError: It is not done.
            UserError: Its results cannot be read.
        """
        if job.state != DONE:
            raise RequestError(409, f"The cells of this job are not known: it is {job.state}.")
        if job.id not in self._open:
            with self._making[job.id]:
                if job.id not in self._open:
                    self._open[job.id] = self.make(job)
        return self._open[job.id]

    def make(self, job: Job) -> CellIndex:
        """Make the index of a job, unless there is one of the same results.

        Args:
            job: The job, with the classes that are known beforehand; size and counts are noted in
                it.

        Raises:
            UserError: Its results or its image cannot be read.
        """
        path = outlines_file(job)
        status = path.stat()
        source = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
        if not job.width:
            measure(job)
        folder = job.folder / INDEX
        found = _read(folder)
        if found is None or found.source != source:
            shutil.rmtree(folder, ignore_errors=True)
            size = job.width, job.height
            colours = {kind["name"]: kind["color"] for kind in job.classes}
            write_index(folder, read_cells(path), colours, size, job.scale, source)
            found = CellIndex(folder)
        job.classes = [
            {"name": name, "color": colour, "count": count}
            for (name, count), colour in zip(found.classes.items(), found.colours, strict=True)
        ]
        job.min_score = found.min_score
        return found

    def forget(self, job: Job) -> None:
        """Let go of a job that is removed."""
        self._open.pop(job.id, None)
        self._making.pop(job.id, None)


def outlines_file(job: Job) -> Path:
    """The file that has the outlines of a job's cells.

    Raises:
        RequestError: There is none.
    """
    for name in ("geojson", "geojson.gz"):
        if (path := job.result(name)).is_file():
            return path
    raise RequestError(
        404,
        f"There is no {job.result('geojson').name}: segment the image again with geojson among "
        "--formats.",
    )


def measure(job: Job) -> None:
    """Note the size and the scale of a job's image.

    Raises:
        UserError: The image cannot be read.
    """
    header = read_header(job.image_path)
    job.width, job.height = header.width, header.height
    job.scale = header.mpp if job.mpp is None else (job.mpp, job.mpp)


def _read(folder: Path) -> CellIndex | None:
    try:
        return CellIndex(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
