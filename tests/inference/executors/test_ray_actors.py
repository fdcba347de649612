"""`--ray`: the same files as one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
from cellseg_mm.runs.model_bundle import ModelBundle
from cellseg_mm.runs.package_versions import package_versions
from tests.inference.executors.conftest import NAMES, arguments_of, contents, writer_of

LOOPBACK = "127.0.0.2"
"""Ray takes 127.0.0.1 for the machine's address outside."""

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": LOOPBACK}
"""One core, and the smallest store of objects that Ray takes."""


@pytest.fixture(scope="module")
def cluster(repository: Path) -> Iterator[Any]:
    """Two nodes of one core each, beside that of the command, on the loopback interface."""
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)  # nodes put in their own
    with pytest.MonkeyPatch.context() as patch:  # for the nodes and what they start
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 would starve beside other tests
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        patch.setenv("PYTHONPATH", str(repository))
        head = {**NODE, "num_cpus": 0, "include_dashboard": False}
        try:
            nodes = Cluster(initialize_head=True, head_node_args=head)
            nodes.add_node(**NODE)
            nodes.add_node(**NODE)
        except Exception as error:
            pytest.skip(f"Ray cannot start here: {type(error).__name__}: {error}")
        yield nodes
        nodes.shutdown()
    signal.signal(signal.SIGTERM, before)


class Watch:
    """Notes which images are done, and whether one is done twice."""

    def __init__(self, out: Path) -> None:
        self.seen: dict[str, set[int]] = {}
        self._out = out
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    @property
    def twice(self) -> list[str]:
        """Names of the images that were."""
        return [name for name, times in self.seen.items() if len(times) > 1]

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


def workers(node: Any = None) -> list[psutil.Process]:
    """Processes in which images are segmented, of one node or all."""
    time.sleep(0.03)
    raylet = None if node is None else node.all_processes["raylet"][0].process.pid
    return [p for p in psutil.Process().children(recursive=True) if _is_worker(p, raylet)]


def kill(node: Any) -> None:
    """Kill a node as a power cut does: its workers, too, which would go on for seconds."""
    its_workers = workers(node)
    for parts in node.all_processes.values():
        for part in parts:
            part.process.kill()
    for worker in its_workers:
        worker.kill()


def _is_worker(process: psutil.Process, raylet: int | None) -> bool:
    try:
        ours = raylet is None or process.ppid() == raylet
        return ours and "RayWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


@pytest.fixture
def command(
    cluster: Any, bundle: ModelBundle, ten_images: Path, tmp_path: Path, repository: Path
) -> Iterator[subprocess.Popen[str]]:
    """``cellseg segment --ray``, begun."""
    arguments = arguments_of(bundle, ten_images, tmp_path, "--ray", cluster.address)
    with subprocess.Popen(
        [sys.executable, "-m", "cellseg_mm", *arguments],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_lost_workers_and_machines_cost_nothing_and_one_that_joins_goes_on(
    cluster: Any, command: subprocess.Popen[str], alone: dict[str, Any], tmp_path: Path
) -> None:
    first, second = cluster.worker_nodes
    with Watch(tmp_path) as watch:
        writer_of(tmp_path, lambda: workers(first)).kill()
        writer_of(tmp_path, lambda: workers(second))
        kill(second)
        kill(first)
        third = cluster.add_node(**NODE)
        writer_of(tmp_path, lambda: workers(third))
        out, err = command.communicate(timeout=300)
    assert command.returncode == 1, err
    assert contents(tmp_path) == alone
    assert len(watch.seen) == len(NAMES) - 1
    assert watch.twice == []
    lines = (out + err).splitlines()
    for name in NAMES:
        assert sum(f"{name}: " in line for line in lines) == 1
    assert sum("10 of 10" in line for line in lines) == 1
    assert err.count("A worker was lost at ") >= 2
    assert "Traceback" not in err


def test_workers_end_with_the_command_and_another_one_goes_on(
    command: subprocess.Popen[str],
    ten_images: Path,
    alone: dict[str, Any],
    segment: Callable[..., int],
    tmp_path: Path,
) -> None:
    with Watch(tmp_path) as watch:
        writer_of(tmp_path, workers)
        command.send_signal(signal.SIGTERM)
        _, err = command.communicate(timeout=60)
        assert command.returncode == 143
        assert err.splitlines()[-1].startswith("Terminated: finished images are whole")
        assert "Traceback" not in err
        assert psutil.wait_procs(workers(), timeout=10)[1] == []
        assert list(tmp_path.glob(".*")) == []
        assert segment(ten_images, tmp_path, "--resume") == 1  # without the cluster
    assert contents(tmp_path) == alone
    assert watch.twice == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.2:1", "No Ray cluster can be reached at 127.0.0.2:1"),
        ("127.0.0.2:99999", "No Ray cluster can be reached"),
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
