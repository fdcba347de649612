"""A job as answers describe it."""

from __future__ import annotations

from typing import Any

from cellseg_mm.serve.cell_index import POLYGON_TILE
from cellseg_mm.serve.deep_zoom import TILE, max_level
from cellseg_mm.serve.job import DONE, Job
from cellseg_mm.serve.job_queue import JobQueue


def describe(job: Job, queue: JobQueue) -> dict[str, Any]:
    """What docs/serve.md lists; what is not known yet is None."""
    progress = queue.progress_of(job)
    done = job.state == DONE
    return {
        "id": job.id,
        "name": job.name,
        "image": job.image,
        "model": job.model,
        "truth": job.truth,
        "state": job.state,
        "position": queue.position(job),
        "tiles_done": progress.done,
        "tiles": progress.tiles,
        "error": job.error,
        "warnings": job.warnings,
        "created": job.created,
        "width": job.width or None,
        "height": job.height or None,
        "mpp": job.scale,
        "classes": job.classes,
        "cells": sum(kind["count"] for kind in job.classes) if done else None,
        "min_score": job.min_score,
        "formats": job.formats() if done else [],
        "tile_size": TILE,
        "max_level": max_level(job.width, job.height) if job.width else None,
        "polygon_tile": POLYGON_TILE,
    }
