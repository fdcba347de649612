"""What the answers to requests are made with."""

from __future__ import annotations

from dataclasses import dataclass, field

from cellseg_mm.serve.agreement import Agreements
from cellseg_mm.serve.image_views import ImageViews
from cellseg_mm.serve.job_cells import JobCells
from cellseg_mm.serve.job_queue import JobQueue
from cellseg_mm.serve.job_store import JobStore
from cellseg_mm.serve.options import ServeOptions
from cellseg_mm.serve.segment_job import segment_job
from cellseg_mm.serve.served_models import ServedModels


@dataclass
class Services:
    """Parts of the server.

    Attributes:
        options: What is allowed.
        models: Those that can be asked for.
        store: The jobs.
        cells: Those of the jobs.
        views: Open images.
        agreements: Between jobs.
        queue: The jobs that wait, and the worker.
    """

    options: ServeOptions
    models: ServedModels
    store: JobStore
    cells: JobCells = field(default_factory=JobCells)
    views: ImageViews = field(default_factory=ImageViews)
    agreements: Agreements = field(default_factory=Agreements)
    queue: JobQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = JobQueue(
            lambda job, on_tile: segment_job(job, self.models, self.cells, on_tile),
            self.options.max_jobs,
            lambda: self.models.load(self.models.default),
        )

    def start(self) -> None:
        """Begin with the jobs that a server before has left."""
        for job in self.store.unfinished():
            self.queue.put(job)
        self.queue.start()

    def clean(self) -> None:
        """Let go of jobs that have been kept long enough."""
        for job in self.store.clean():
            self.cells.forget(job)

    def stop(self) -> None:
        """End; what is not done is done another time."""
        self.queue.stop()
        self.views.close()
        self.store.close()
