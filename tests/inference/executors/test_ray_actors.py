"""`--ray`: the same files as one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.inference.batch.batch_options import BatchOptions
from cellseg_mm.inference.batch.image_task import ImageTask
from cellseg_mm.inference.executors.ray_actors import Orders, RayWorker
from cellseg_mm.inference.executors.ray_cluster import connected, import_ray
from cellseg_mm.inference.executors.worker_segmenter import WorkerModel
from cellseg_mm.inference.results.run_record import package_versions
from cellseg_mm.runs.model_bundle import ModelBundle
from tests.inference.executors.conftest import NAMES, arguments_of, contents, writer_of

MEMORY = 80 * 2**20
"""Bytes of a node's store of objects: the least that Ray takes."""


@pytest.fixture(scope="module")
def cluster(repository: Path) -> Iterator[Any]:
    """Two nodes of one core each, on the loopback interface."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(repository)  # of workers, which nodes start
    two: Any = None
    try:
        node = {"num_cpus": 1, "object_store_memory": MEMORY, "node_ip_address": "127.0.0.1"}
        two = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        two.add_node(**node)
    except Exception as error:
        pytest.skip(f"Ray cannot start here: {type(error).__name__}: {error}")
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    yield two
    two.shutdown()


class Watch:
    """Notes which images are done, and whether one is done twice."""

    def __init__(self, out: Path) -> None:
        self.seen: dict[str, set[int]] = {}
        self._out = out
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for path in self._out.glob("*_run.json"):
                self.seen.setdefault(path.name, set()).add(path.stat().st_mtime_ns)


def workers() -> list[psutil.Process]:
    """Processes in which images are segmented."""
    return [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "RayWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def check(out: Path, alone: dict[str, Any], watch: Watch, said: Any) -> None:
    assert contents(out) == alone
    assert len(watch.seen) == len(NAMES) - 1
    assert [name for name, times in watch.seen.items() if len(times) > 1] == []
    lines = (said.out + said.err).splitlines()
    for name in NAMES:
        assert sum(f"{name}: " in line for line in lines) == 1, said
    assert sum("10 of 10" in line for line in lines) == 1
    assert "Traceback" not in said.err


def test_a_worker_that_is_killed_is_replaced_and_costs_nothing(
    cluster: Any,
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ThreadPoolExecutor() as pool, Watch(tmp_path) as watch:
        killed = pool.submit(lambda: writer_of(tmp_path, workers).kill())
        assert segment(ten_images, tmp_path, "--ray", cluster.address) == 1
        killed.result()
    said = capfd.readouterr()
    check(tmp_path, alone, watch, said)
    assert said.err.count("A worker was lost at ") == 1


def test_a_machine_that_dies_loses_nothing_and_one_that_joins_takes_images(
    cluster: Any,
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    second = next(iter(cluster.worker_nodes))
    raylet = second.all_processes["raylet"][0].process.pid

    def exchange() -> bool:
        writer_of(tmp_path, lambda: [p for p in workers() if p.ppid() == raylet])
        cluster.remove_node(second, allow_graceful=False)
        third = cluster.add_node(
            num_cpus=1, object_store_memory=MEMORY, node_ip_address="127.0.0.1"
        )
        raylet_of_third = third.all_processes["raylet"][0].process.pid
        writer_of(tmp_path, lambda: [p for p in workers() if p.ppid() == raylet_of_third])
        return True

    with ThreadPoolExecutor() as pool, Watch(tmp_path) as watch:
        exchanged = pool.submit(exchange)
        assert segment(ten_images, tmp_path, "--ray", cluster.address) == 1
        assert exchanged.result()
    said = capfd.readouterr()
    check(tmp_path, alone, watch, said)
    assert "since its machine has left the cluster" in said.err


def test_workers_end_with_the_command_and_another_one_goes_on(
    cluster: Any,
    bundle: ModelBundle,
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
    repository: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = arguments_of(bundle, ten_images, tmp_path, "--ray", cluster.address)
    driver = subprocess.Popen(
        [sys.executable, "-m", "cellseg_mm", *arguments],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    writer_of(tmp_path, workers)
    driver.send_signal(signal.SIGTERM)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 143
    assert said.splitlines()[-1].startswith("Terminated: finished images are whole")
    assert "Traceback" not in said
    assert psutil.wait_procs(workers(), timeout=10)[1] == []
    assert list(tmp_path.glob(".*")) == []

    with Watch(tmp_path) as watch:
        assert segment(ten_images, tmp_path, "--resume", "--ray", cluster.address) == 1
    assert contents(tmp_path) == alone
    assert [name for name, times in watch.seen.items() if len(times) > 1] == []


def test_a_device_that_no_machine_has_ends_the_command(
    cluster: Any,
    ten_images: Path,
    segment: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = "--ray", cluster.address, "--device", "abacus"
    assert segment(ten_images, tmp_path, *options) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("error: On ")
    assert "abacus" in last


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "No Ray cluster can be reached at 127.0.0.1:1"),
        ("127.0.0.1:99999", "No Ray cluster can be reached"),
        ("ray://127.0.0.1:10001", "is no address of a cluster"),
        ("gpu01", "is no address of a cluster"),
    ],
)
def test_an_address_without_a_cluster_is_one_sentence(address: str, words: str) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=words), connected(address):
        pass
    assert time.monotonic() - start < 10


def test_without_ray_the_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'cellseg-mm\[ray\]'"):
        import_ray()


def test_a_machine_that_would_do_something_else_says_so(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    def start(seen: Path, versions: dict[str, str | None]) -> str | None:
        model = WorkerModel(str(bundle.folder), "another", "cpu")
        task = ImageTask(tmp_path, BatchOptions(("csv",)), {})
        return RayWorker().start(Orders(model, task, Path.cwd(), (seen,), 1, versions))

    versions = package_versions()
    assert "torch is 2" in (start(tmp_path, {**versions, "torch": "1.0"}) or "")
    assert "all machines share" in (start(tmp_path / "absent", versions) or "")
    assert "has other weights" in (start(tmp_path, versions) or "")
