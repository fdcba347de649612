"""What lies on the disk, and for how long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.serve.job import DONE, JOB_FILE, QUEUED, RUNNING, Job, new_id, read_job
from cellseg_mm.serve.job_store import JobStore

DAY = 86_400


def make(store: JobStore, state: str, days: float = 0.0, created: str = "2026-01-01") -> Job:
    job_id = new_id()
    job = Job(store.folder / job_id, job_id, "a.png", "hash", "image.png", state=state)
    job.created = created
    job.folder.mkdir()
    (job.folder / "image.png").touch()
    job.save()
    then = time.time() - days * DAY
    os.utime(job.folder / JOB_FILE, (then, then))
    store.add([job])
    return job


def test_jobs_come_back(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs", 30)
    done = make(store, DONE, created="2026-01-03")
    running = make(store, RUNNING, created="2026-01-01")
    waiting = make(store, QUEUED, created="2026-01-02")
    (running.folder / "results").mkdir()
    (running.folder / "results" / ".image.abc.unfinished.csv").touch()
    (store.folder / ".0123.unfinished" / "new").mkdir(parents=True)
    store.close()

    again = JobStore(tmp_path / "jobs", 30)
    assert [job.id for job in again.newest_first()] == [done.id, waiting.id, running.id]
    assert [job.id for job in again.unfinished()] == [running.id, waiting.id]
    assert {job.state for job in again.unfinished()} == {QUEUED}
    assert list((running.folder / "results").iterdir()) == []
    assert not list(store.folder.glob(".*.unfinished"))
    assert vars(again.get(done.id)) == vars(done)
    again.close()


def test_old_jobs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs", 2)
    old, new = make(store, DONE, days=2.1), make(store, DONE, days=1.9)
    waiting = make(store, QUEUED, days=9)
    others = store.folder / "of-the-user"
    others.mkdir()
    (others / "notes.txt").touch()
    os.utime(others, (0, 0))
    assert store.clean() == [old]
    assert not old.folder.exists()
    assert new.folder.exists()
    assert waiting.folder.exists()
    assert (others / "notes.txt").exists()
    assert {job.id for job in store.newest_first()} == {new.id, waiting.id}
    store.close()


def test_one_server_a_folder(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs", 30)
    with pytest.raises(UserError, match="Another cellseg serve works in"):
        JobStore(tmp_path / "jobs", 30)
    store.close()
    JobStore(tmp_path / "jobs", 30).close()


def test_a_damaged_record_costs_its_job_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = JobStore(tmp_path / "jobs", 30)
    fine, bad = make(store, DONE), make(store, DONE)
    (bad.folder / JOB_FILE).write_text("{")
    store.close()
    again = JobStore(tmp_path / "jobs", 30)
    assert [job.id for job in again.newest_first()] == [fine.id]
    assert bad.folder.exists()
    assert str(bad.folder) in capsys.readouterr().err
    again.close()


def test_a_removed_job_is_not_written_again(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs", 30)
    job = make(store, DONE)
    store.remove(job)
    job.save()
    assert not job.folder.exists()
    with pytest.raises(UserError, match="cannot be read"):
        read_job(job.folder)
    store.close()
