"""`--workers`: the same files as one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from cellseg_mm.runs.model_bundle import ModelBundle
from tests.inference.executors.conftest import arguments_of, contents, writer_of


def test_a_worker_that_is_killed_is_replaced_and_costs_nothing(
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ThreadPoolExecutor() as pool:
        killed = pool.submit(lambda: _kill_one(tmp_path))
        assert segment(ten_images, tmp_path, "--workers", "2") == 1
        assert killed.result() > 0
    assert contents(tmp_path) == alone
    said = capfd.readouterr()
    assert said.err.count("d.png: ") == 1
    assert "10 of 10" in said.out + said.err
    assert "Traceback" not in said.err


def _kill_one(out: Path) -> int:
    process = writer_of(out, psutil.Process().children)
    process.kill()
    return process.pid


def test_a_device_that_no_worker_has_ends_the_command(
    bundle: ModelBundle,
    ten_images: Path,
    segment: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert segment(ten_images, tmp_path, "--workers", "2", "--device", "abacus") == 2
    assert "abacus" in capfd.readouterr().err.splitlines()[-1]
    assert not psutil.Process().children() or all(
        "spawn_main" not in " ".join(child.cmdline()) for child in psutil.Process().children()
    )


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_workers_end_with_their_parent(
    bundle: ModelBundle,
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
    repository: Path,
    stop: signal.Signals,
    code: int,
) -> None:
    arguments = arguments_of(bundle, ten_images, tmp_path, "--workers", "2")
    parent = subprocess.Popen(
        [sys.executable, "-m", "cellseg_mm", *arguments],
        env={**os.environ, "PYTHONPATH": str(repository)},
        cwd=tmp_path.parent,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = psutil.Process(parent.pid).children
    writer_of(tmp_path, children)
    workers = children()
    if stop == signal.SIGINT:
        os.killpg(parent.pid, stop)  # as a terminal does
    else:
        parent.send_signal(stop)
    _, said = parent.communicate(timeout=60)
    assert parent.returncode == code
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    if stop == signal.SIGINT:
        assert said.splitlines()[-1].startswith("Interrupted: finished images are whole")
        assert "Traceback" not in said
        assert list(tmp_path.glob(".*")) == []
        return
    # The workers may have finished their files before they saw it: one that is killed does not.
    killed = (
        "import os; from cellseg_mm.files.atomic_write import atomic_write\n"
        f"with atomic_write({str(tmp_path / 'a.csv')!r}): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=repository, check=False)
    assert list(tmp_path.glob(".*")) != []
    assert segment(ten_images, tmp_path, "--resume") == 1  # goes on, and clears what was left
    assert list(tmp_path.glob(".*")) == []
    assert contents(tmp_path) == alone
