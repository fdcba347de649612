"""The jobs that there are, in memory and on disk."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import remove_unfinished
from cellseg_mm.serve.job import JOB_FILE, QUEUED, RUNNING, Job, read_job
from cellseg_mm.serve.request_error import RequestError

OPENED = "opened"
"""Folder with what is made of results that the server was started with."""

_DAY = 86_400


class JobStore:
    """Jobs by their ids. Requests name ids, which are looked up here and never become paths.

    Args:
        folder: Of the jobs; made if absent.
        keep_days: After so many days a job that is over is removed.

    Attributes:
        folder: Of the jobs.

    Raises:
        UserError: Another server works in the folder.
    """

    def __init__(self, folder: Path, keep_days: float) -> None:
        self.folder = folder
        self._keep = keep_days * _DAY
        self._jobs: dict[str, Job] = {}
        self._changing = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = FileLock(folder / ".lock", thread_local=False)
        try:
            self._owner.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"Another cellseg serve works in {folder}: end it, or name another --folder."
            ) from None
        self._read()

    def close(self) -> None:
        """Let another server work in the folder."""
        self._owner.release()

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            RequestError: There is none.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise RequestError(404, "There is no such job: it may have been removed.")
        return job

    def newest_first(self) -> list[Job]:
        """All jobs."""
        with self._changing:
            jobs = list(self._jobs.values())
        return sorted(jobs, key=lambda job: job.created)[::-1]

    def unfinished(self) -> list[Job]:
        """Those that a server before left waiting or at work, the oldest first."""
        waiting = [job for job in self.newest_first() if job.state == QUEUED]
        return waiting[::-1]

    def add(self, jobs: Iterable[Job]) -> None:
        """Take jobs in; those of the store's own folder have been saved."""
        with self._changing:
            self._jobs.update({job.id: job for job in jobs})

    def remove(self, job: Job) -> None:
        """Forget a job; what the server made of it is removed, results that were opened stay."""
        with self._changing:
            self._jobs.pop(job.id, None)
        if not job.opened:
            self._remove_folder(job.folder)

    def clean(self) -> list[Job]:
        """Remove jobs that are over and older than the folder keeps them, and tell which."""
        oldest = time.time() - self._keep
        removed = []
        for job in self.newest_first():
            if job.is_over and not job.opened and _modified(job.folder / JOB_FILE) < oldest:
                self.remove(job)
                removed.append(job)
        shown = {job.folder for job in self.newest_first()}
        for folder in (self.folder / OPENED).glob("*"):
            if folder not in shown and _modified(folder) < oldest:
                shutil.rmtree(folder, ignore_errors=True)
        return removed

    def _read(self) -> None:
        for path in sorted(self.folder.glob(f"*/{JOB_FILE}")):
            try:
                job = read_job(path.parent)
            except UserError as error:
                print(f"warning: {error}", file=sys.stderr)
                continue
            if job.state == RUNNING:  # when the server before ended
                job.state = QUEUED
            remove_unfinished(job.folder)
            self._jobs[job.id] = job
        for folder in self.folder.glob(".*.unfinished"):
            shutil.rmtree(folder, ignore_errors=True)  # uploads that were broken off
        self.clean()

    def _remove_folder(self, folder: Path) -> None:
        # First out of sight, so that a server killed in between finds no half of a job.
        hidden = self.folder / f".{folder.name}.unfinished"
        if (folder / JOB_FILE).is_file() and folder.parent == self.folder:
            folder.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
