"""Results that ``cellseg segment`` wrote, as jobs that are done."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.inference.batch.image_record import ENDING
from cellseg_mm.serve.job import DONE, Job
from cellseg_mm.serve.job_store import OPENED
from cellseg_mm.structures.palette import class_colour


def open_results(paths: Sequence[Path], folder: Path) -> list[Job]:
    """Make jobs of results; these are only read.

    Args:
        paths: Output folders, ``…_run.json`` or GeoJSON files beside one.
        folder: Of the server's jobs, where indexes of the cells will lie.

    Raises:
        UserError: A path holds no results, or none of its images is where it was.
    """
    jobs: dict[str, Job] = {}
    for path in paths:
        before, problems = len(jobs), []
        for record in _records(path):
            try:
                job = _job(record, folder)
                jobs[job.id] = job
            except UserError as error:
                problems.append(str(error))
        for problem in problems[:-1] if len(jobs) == before else problems:
            print(f"warning: {problem}", file=sys.stderr)
        if problems and len(jobs) == before:
            raise UserError(problems[-1])
    return list(jobs.values())


def _records(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = sorted(path.rglob(f"*{ENDING}"))
        if not found:
            raise UserError(f"{path} holds no results of cellseg segment, for it has no *{ENDING}.")
        yield from found
    elif not path.is_file():
        raise MissingFileError(f"{path} does not exist: name results of cellseg segment.")
    elif path.name.endswith(ENDING):
        yield path
    else:
        stem = path.name.removesuffix(".gz").removesuffix(".geojson")
        record = path.with_name(stem + ENDING)
        if not record.is_file():
            raise UserError(
                f"{path} has no {record.name} beside it, which would name its image: name results "
                "of cellseg segment."
            )
        yield record


def _job(record: Path, folder: Path) -> Job:
    """The job of a record.

    Raises:
        UserError: The record is none, its image is gone or has changed, or outlines are missing.
    """
    try:
        content: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        image = content["image"]
        source = Path(image["path"])
        options, found = content["asked"]["options"], content["found"]
        sha256 = str(content["asked"]["model"])
        names = [key for key in found if f"{key}_per_mm2" in found and key != "cells"]
        counts = {name: int(found[name]) for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{record} is no record of cellseg segment ({error!r}).") from error
    if not source.is_file() or source.stat().st_size != image["bytes"]:
        raise UserError(f"{record}: the image {source} is gone or has changed; segment it again.")
    stem = record.with_name(record.name.removesuffix(ENDING)).absolute()
    job_id = _hash(str(stem))[:24]
    job = Job(
        folder=folder / OPENED / job_id,
        id=job_id,
        name=source.name,
        image=_hash(f"{source}|{image['bytes']}|{image['modified_ns']}"),
        source=str(source),
        results=str(stem),
        model=_model_name(record, sha256),
        mpp=options.get("mpp"),
        least_score=options.get("min_score"),
        state=DONE,
        warnings=[str(sentence) for sentence in found["warnings"]],
        created=datetime.fromtimestamp(record.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        opened=True,
        classes=[
            {"name": name, "color": class_colour(index), "count": counts[name]}
            for index, name in enumerate(counts)
        ],
    )
    if not {"geojson", "geojson.gz"} & set(job.formats()):
        raise UserError(f"{stem} has no outlines: segment again with geojson among --formats.")
    return job


def _model_name(record: Path, sha256: str) -> str:
    """The model's name, which the run.json of the batch has."""
    for folder in record.parents[:3]:
        try:
            model = json.loads((folder / "run.json").read_text(encoding="utf-8"))["model"]
            if model["sha256"] == sha256:
                return str(model["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sha256[:12]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
