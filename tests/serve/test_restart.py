"""A real server, its end in the middle of the work, and many clients at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cellseg_mm.runs.model_bundle import ModelBundle
from tests.serve.conftest import OURS, png, wait_for

CLIENTS = 20

Begin = Callable[..., tuple[subprocess.Popen[str], httpx2.Client]]


@pytest.fixture
def begin(bundle: ModelBundle, tmp_path: Path, repository: Path) -> Iterator[Begin]:
    """``begin(*arguments)``: a process of ``cellseg serve`` and a client of it."""
    processes = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], httpx2.Client]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        asked = ["serve", "--port", str(port), "--folder", str(tmp_path / "jobs")]
        process = subprocess.Popen(
            [sys.executable, "-m", "cellseg_mm", *asked, "--model", str(bundle.folder), *arguments],
            env={**os.environ, "PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith("http://"), process.stderr and process.stderr.read()
        client = httpx2.Client(
            base_url=told.split()[0].partition("?")[0],
            headers=OURS,
            timeout=120,
            trust_env=False,
            # A server may close a connection that rests, just when it is used again.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            try:
                client.get("/jobs")
                break
            except httpx2.ConnectError:
                time.sleep(0.05)
        client.told = told
        return process, client

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_twenty_clients_and_a_killed_server(begin: Begin, tmp_path: Path) -> None:
    """Nothing is lost, and nothing is done twice or mixed up."""
    process, client = begin()
    images = [png(seed % 4) for seed in range(CLIENTS)]

    def upload(number: int) -> dict[str, Any]:
        answer = client.post("/segment", params={"name": f"{number}.png"}, content=images[number])
        assert answer.status_code == 202
        return answer.json()

    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = list(pool.map(upload, range(CLIENTS)))
    wait_for(client, sent[0], 300)
    process.send_signal(signal.SIGKILL)
    process.wait()
    states = Counter()
    process, client = begin()
    for job in sent:
        found = client.get(f"/jobs/{job['id']}").json()
        states[found["state"]] += 1
        assert found["name"] == job["name"]
    assert states["done"] >= 1
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda job: wait_for(client, job, 900, 0.5), sent))
    assert [job["state"] for job in done] == ["done"] * CLIENTS
    assert [job["id"] for job in client.get("/jobs").json()][::-1] != []
    assert len(client.get("/jobs").json()) == CLIENTS
    tables = [client.get(f"/jobs/{job['id']}/results/csv").content for job in done]
    for number, table in enumerate(tables):
        assert table == tables[number % 4]
    assert len(set(tables)) == 4
    assert not list((tmp_path / "jobs").rglob("*.unfinished*"))

    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert process.stderr is not None
    said = process.stderr.read()
    assert "Interrupted: finished jobs are whole" in said
    assert "Traceback" not in said


def test_without_loopback_a_token_is_demanded(begin: Begin) -> None:
    process, client = begin("--host", "0.0.0.0")
    token = client.told.split()[0].partition("?token=")[2]
    assert len(token) >= 32
    port = client.base_url.port
    here = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    assert here.get("/jobs").status_code == 401
    assert here.get("/jobs", headers={"Authorization": f"Bearer {token}"}).json() == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143
