"""The jobs that wait, and the one worker that does them."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cellseg_mm.serve.job import CANCELLED, FAILED, QUEUED, RUNNING, Job
from cellseg_mm.serve.request_error import RequestError

OnTile = Callable[[int, int], None]

_PATIENCE = 120.0
"""Seconds that a tile, or loading the model, may take when the server ends."""


class _Stopped(BaseException):
    """Ends a job between two tiles; not an Exception, which would count as a fault."""


@dataclass
class Progress:
    """How far the running job is.

    Attributes:
        done: Tiles that went through the model.
        tiles: How many there are; 0 until that is known.
    """

    done: int = 0
    tiles: int = 0


class JobQueue:
    """Does jobs one after the other in a thread of its own.

    Args:
        do: Does a job, and returns its state; it calls what it is given after each tile.
        most: Jobs that may wait or run, those that are being uploaded counted.
        prepare: Called by the worker before the first job, such as to load the model.
    """

    def __init__(
        self, do: Callable[[Job, OnTile], str], most: int, prepare: Callable[[], object]
    ) -> None:
        self._do = do
        self._most = most
        self._prepare = prepare
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._uploads = 0
        self._cancelled = self._ending = False
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self.progress = Progress()

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End between two tiles; the job that runs, and those that wait, are done another time."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._worker.is_alive():
            self._worker.join(_PATIENCE)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold a place for a job that comes in.

        Raises:
            RequestError: There is none.
        """
        with self._changed:
            taken = len(self._waiting) + (self._running is not None) + self._uploads
            if taken >= self._most:
                raise RequestError(
                    429, f"{taken} jobs wait already: try again when some of them are done."
                )
            self._uploads += 1
        try:
            yield
        finally:
            with self._changed:
                self._uploads -= 1

    def put(self, job: Job) -> None:
        """Let a job wait for its turn."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()

    def cancel(self, job: Job) -> bool:
        """Take a job out, or end it after the tile that it is at.

        Returns:
            Whether it was waiting or running.
        """
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
            elif job is self._running:
                self._cancelled = True
                return True
            else:
                return False
        _save(job, CANCELLED)
        return True

    def position(self, job: Job) -> int | None:
        """How many jobs come before it; 0 for the one that runs, None for one that is over."""
        with self._changed:
            if job is self._running and not job.is_over:
                return 0
            if job in self._waiting:
                return self._waiting.index(job) + (self._running is not None)
        return None

    def progress_of(self, job: Job) -> Progress:
        """How far a job is."""
        with self._changed:
            running = job is self._running and not job.is_over
            return self.progress if running else Progress()

    def _work(self) -> None:
        try:
            self._prepare()
        except Exception as error:  # the jobs will tell
            print(f"warning: {error}", file=sys.stderr)
        while (job := self._next()) is not None:
            try:
                state = self._do(job, self._on_tile)
            except _Stopped:
                state = CANCELLED if self._cancelled else QUEUED
            except Exception:  # the worker goes on with the next one
                traceback.print_exc()
                state, job.error = FAILED, "A fault of this program, which its output tells."
            _save(job, state)
            with self._changed:
                self._running = None

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            if self._ending:
                return None
            job = self._running = self._waiting.pop(0)
            self._cancelled, self.progress = False, Progress()
            job.state = RUNNING
        _save(job)
        return job

    def _on_tile(self, done: int, tiles: int) -> None:
        self.progress = Progress(done, tiles)
        if self._cancelled or self._ending:
            raise _Stopped


def _save(job: Job, state: str | None = None) -> None:
    try:
        job.save(state)
    except OSError as error:  # such as a full disk; the worker goes on
        print(f"warning: {job.folder}: {error}", file=sys.stderr)
