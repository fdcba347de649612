"""What the worker does of a job: what ``cellseg segment`` does of an image."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import remove_unfinished
from cellseg_mm.inference.batch.batch_options import BatchOptions
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_task import ImageTask
from cellseg_mm.inference.results.formats import DEFAULT_FORMATS
from cellseg_mm.serve.job import DONE, FAILED, OWN_RESULTS, Job
from cellseg_mm.serve.job_cells import JobCells
from cellseg_mm.serve.served_models import ServedModels


def segment_job(
    job: Job, models: ServedModels, cells: JobCells, on_tile: Callable[[int, int], object]
) -> str:
    """Find the cells of a job's image and write its results.

    Args:
        job: The job. Its files are called ``image…``, and all that is written into them is as if
            they were called after the user's name of the image.
        models: The models.
        cells: Makes the index.
        on_tile: Called after each tile with how many are done and how many there are; what it
            raises ends the job without results.

    Returns:
        The state that the job has now: done, or failed, and then the job has the error.
    """
    try:
        bundle = models.find(job.model)
        segmenter = models.load(bundle.name)
        options = BatchOptions(DEFAULT_FORMATS, mpp=job.mpp, min_score=job.least_score)
        image = NamedImage(job.image_path, Path(OWN_RESULTS), title=job.title)
        remove_unfinished(job.folder)
        task = ImageTask(job.folder, options, options.asked(bundle.sha256))
        outcome = task.attempt(segmenter, image, on_tile=on_tile)
        if outcome.found is None:
            print(outcome.fault, end="", file=sys.stderr)
            raise UserError(outcome.error)
        job.warnings = [job.shown(sentence) for sentence in outcome.found["warnings"]]
        cells.make(job)
    except (UserError, OSError) as error:
        job.error = job.shown(str(error))
        return FAILED
    return DONE
