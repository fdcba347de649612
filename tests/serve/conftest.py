"""A server with a model of random weights, and images for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import ModelBundle
from cellseg_mm.serve.app import build_app
from cellseg_mm.serve.job_store import JobStore
from cellseg_mm.serve.options import ServeOptions
from cellseg_mm.serve.served_models import ServedModels
from cellseg_mm.serve.services import Services

ADDRESS = "http://127.0.0.1:8000"
OURS = {"X-Cellseg": "1"}

StartServer = Callable[..., TestClient]


def png(seed: int = 0, height: int = 96, width: int = 80) -> bytes:
    """An image with a dozen cells."""
    pixels = synthesize_image(np.random.default_rng(seed), height, width, 12).rgb
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def wait_for(
    client: Any, job: dict[str, Any], seconds: float = 120, pause: float = 0.02
) -> dict[str, Any]:
    """The job once it is over."""
    limit = time.monotonic() + seconds
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < limit, job
        time.sleep(pause)
        job = client.get(f"/jobs/{job['id']}").json()
    return job


@pytest.fixture
def start(tmp_path: Path, bundle: ModelBundle) -> Iterator[StartServer]:
    """``start(**options)``: a client of a running server; of the same folder when called again."""
    with ExitStack() as running:

        def begin(folder: str = "jobs", results: Any = (), **options: Any) -> TestClient:
            running.close()
            chosen = ServeOptions(tmp_path / folder, device="cpu", **options)
            store = JobStore(chosen.folder, chosen.keep_days)
            store.add(results)
            services = Services(chosen, ServedModels([str(bundle.folder)], "cpu"), store)
            client = TestClient(
                build_app(services),
                base_url=ADDRESS,
                headers=OURS,
                raise_server_exceptions=False,
            )
            running.callback(client.close)
            running.enter_context(client)
            client.services = services
            return client

        yield begin


@pytest.fixture
def client(start: StartServer) -> TestClient:
    """A client of a running server."""
    return start()
