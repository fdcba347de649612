"""One job after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.serve.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, new_id, read_job
from cellseg_mm.serve.job_queue import JobQueue, OnTile
from cellseg_mm.serve.request_error import RequestError


class Work:
    """Does jobs tile by tile, when it is told to."""

    def __init__(self) -> None:
        self.step = threading.Semaphore(0)
        self.names: list[str] = []

    def __call__(self, job: Job, on_tile: OnTile) -> str:
        self.names.append(job.name)
        for tile in range(1, 4):
            assert self.step.acquire(timeout=20)
            if job.name == "fault":
                raise RuntimeError("a fault")
            on_tile(tile, 3)
        return DONE


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def queue(work: Work) -> Iterator[JobQueue]:
    queue = JobQueue(work, 5, lambda: None)
    queue.start()
    yield queue
    work.step.release(100)
    queue.stop()


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Job]:
    def job(name: str) -> Job:
        job_id = new_id()
        (tmp_path / job_id).mkdir()
        return Job(tmp_path / job_id, job_id, name, "hash", "image.png")

    return job


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_jobs_are_done_in_turn(queue: JobQueue, work: Work, make: Callable[[str], Job]) -> None:
    first, fault, last = make("first"), make("fault"), make("last")
    for job in (first, fault, last):
        queue.put(job)
    until(lambda: first.state == RUNNING)
    assert [queue.position(job) for job in (first, fault, last)] == [0, 1, 2]
    work.step.release(2)
    until(lambda: queue.progress_of(first).done == 2)
    assert queue.progress_of(first).tiles == 3
    assert queue.progress_of(last).tiles == 0
    work.step.release(10)
    until(lambda: last.state == DONE)
    assert (first.state, fault.state) == (DONE, FAILED)
    assert "a fault" not in str(fault.error)
    assert work.names == ["first", "fault", "last"]
    until(lambda: queue.position(last) is None)
    assert [read_job(job.folder).state for job in (first, fault, last)] == [DONE, FAILED, DONE]


def test_a_state_is_written_before_it_is_told(
    queue: JobQueue, work: Work, make: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make("job")
    written_and_told = []

    @contextmanager
    def watched(target: Path) -> Iterator[Path]:
        with atomic_write(target) as unfinished:
            yield unfinished
        written_and_told.append((read_job(target.parent).state, job.state))

    monkeypatch.setattr("cellseg_mm.serve.job.atomic_write", watched)
    queue.put(job)
    work.step.release(3)
    until(lambda: job.state == DONE)
    assert written_and_told == [(RUNNING, RUNNING), (DONE, RUNNING)]


def test_cancelling(queue: JobQueue, work: Work, make: Callable[[str], Job]) -> None:
    running, waiting, last = make("running"), make("waiting"), make("last")
    for job in (running, waiting, last):
        queue.put(job)
    until(lambda: running.state == RUNNING)
    assert queue.cancel(waiting)
    assert read_job(waiting.folder).state == CANCELLED
    assert queue.cancel(running)
    assert running.state == RUNNING  # until its tile is over
    work.step.release(1)
    until(lambda: running.state == CANCELLED)
    assert not queue.cancel(waiting)
    work.step.release(3)
    until(lambda: last.state == DONE)
    assert work.names == ["running", "last"]


def test_a_server_that_ends_leaves_its_job_for_the_next(
    queue: JobQueue, work: Work, make: Callable[[str], Job]
) -> None:
    running, waiting = make("running"), make("waiting")
    queue.put(running)
    queue.put(waiting)
    until(lambda: running.state == RUNNING)
    threading.Timer(0.2, work.step.release).start()
    queue.stop()
    assert (running.state, waiting.state) == (QUEUED, QUEUED)
    assert read_job(running.folder).state == QUEUED
    assert work.names == ["running"]


def test_places_of_uploads_count(queue: JobQueue, make: Callable[[str], Job]) -> None:
    queue.put(make("running"))
    queue.put(make("waiting"))
    full = pytest.raises(RequestError, match="5 jobs wait")
    with queue.room(), queue.room(), queue.room(), full, queue.room():
        pass
    with queue.room():
        pass
