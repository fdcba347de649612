"""Jobs out of what is uploaded, and out of other jobs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from anyio.to_thread import run_sync
from starlette.requests import Request

from cellseg_mm.errors import UserError
from cellseg_mm.files.whole_folder import whole_folder
from cellseg_mm.inference.batch.find_images import SUFFIXES
from cellseg_mm.readers.open_image import TIFF_MAGIC
from cellseg_mm.readers.whole_image import decoder_of
from cellseg_mm.serve.job import DONE, Job, new_id, now
from cellseg_mm.serve.job_cells import measure, outlines_file
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.serve.services import Services
from cellseg_mm.serve.upload import receive_file

_SUFFIXES = SUFFIXES - {".mrxs", ".vms", ".vmu"}
"""Endings that an upload keeps: those of files that stand alone."""

_HEAD_BYTES = 132

_MAX_TRUTH_MEGABYTES = 200.0
"""A truth is read as a whole, which takes ten times its size."""


class Asked(NamedTuple):
    """What is asked of an image.

    Attributes:
        model: Name of the model.
        mpp: µm per pixel; None = what the file says.
        least_score: Of a cell; None = the model's, by class.
    """

    model: str
    mpp: float | None
    least_score: float | None


async def job_of_upload(request: Request, services: Services, name: str, asked: Asked) -> Job:
    """Receive an image and make a job of it.

    Raises:
        RequestError: It is too large, or no image.
    """
    options, suffix = services.options, Path(name).suffix.lower()
    source = f"image{suffix if suffix in _SUFFIXES else ''}"
    with _new_job(services, name, source) as job:
        job.image = await receive_file(request, job.image_path, options.max_megabytes)
        job.created = now()
        _ask(job, services, asked)
        await run_sync(_check, job, options.max_megapixels)
    return job


def job_of_job(services: Services, other: Job, asked: Asked) -> Job:
    """A job on the image of another one, of the same µm per pixel if no other is asked for."""
    with _new_job(services, other.name, other.source) as job:
        _share_image(other, job)
        _ask(job, services, asked)
        if asked.mpp is None:
            job.mpp = other.mpp
        _check(job, services.options.max_megapixels)
    return job


async def job_of_truth(request: Request, services: Services, other: Job, name: str) -> Job:
    """Receive cells that a person drew in the image of a job.

    Raises:
        RequestError: The file is too large, no GeoJSON, or has no polygon.
    """
    with _new_job(services, other.name, other.source) as job:
        path = job.result("geojson")
        path.parent.mkdir()
        most = min(services.options.max_megabytes, _MAX_TRUTH_MEGABYTES)
        await receive_file(request, path, most)
        _share_image(other, job)
        job.created = now()
        job.truth, job.mpp = name, other.mpp
        job.classes = [{**kind, "count": None} for kind in other.classes]
        await run_sync(_index_truth, services, job)
    return job


@contextmanager
def _new_job(services: Services, name: str, source: str) -> Iterator[Job]:
    """A job whose folder appears, with what the block has put into it, when the block ends."""
    job_id = new_id()
    target = services.store.folder / job_id
    with whole_folder(target) as folder:
        job = Job(folder, job_id, name, "", source)
        yield job
        job.save()
    job.folder = target


def _ask(job: Job, services: Services, asked: Asked) -> None:
    job.model, job.mpp, job.least_score = asked
    job.classes = services.models.classes(asked.model)


def _index_truth(services: Services, job: Job) -> None:
    measure(job)
    try:
        cells = services.cells.make(job)
    except UserError as error:
        raise RequestError(
            400, str(error).replace(str(outlines_file(job)), str(job.truth))
        ) from error
    inside = (cells.points["x"] < job.width) & (cells.points["y"] < job.height)
    if not (inside & (cells.points["x"] >= 0) & (cells.points["y"] >= 0)).any():
        raise RequestError(
            400,
            f"{job.truth} has no polygon inside the {job.width}×{job.height} pixels of {job.name}: "
            "export it in pixels of the full resolution.",
        )
    job.state = DONE


def _check(job: Job, max_megapixels: float) -> None:
    if not Path(job.source).is_absolute():
        _require_one_file(job)
    try:
        measure(job)
    except UserError as error:
        raise RequestError(400, job.shown(str(error))) from error
    if job.width * job.height > max_megapixels * 1e6:
        raise RequestError(
            413,
            f"{job.name} has {job.width}×{job.height} pixels, more than the {max_megapixels:g} "
            "million that this server takes.",
        )


def _require_one_file(job: Job) -> None:
    """Refuse an upload that would make its reader look for other files, as an index of others may.

    Of a TIFF, the reader refuses it.
    """
    with job.image_path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    alone = head[:4] in TIFF_MAGIC or head.startswith(b"ZISRAWFILE") or head[128:132] == b"DICM"
    if not alone and decoder_of(head) is None:
        raise RequestError(
            400,
            f"{job.name} is no PNG, JPEG, BMP, WebP or TIFF, nor a slide in one file; slides of "
            "several files are for cellseg segment, whose results can be opened.",
        )


def _share_image(other: Job, job: Job) -> None:
    """Give a job the image of another one: a second name of its file, unless it has a path."""
    job.image = other.image
    if Path(other.source).is_absolute():
        return
    try:
        os.link(other.image_path, job.image_path)
    except OSError:  # a file system without links
        shutil.copyfile(other.image_path, job.image_path)
