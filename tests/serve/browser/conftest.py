"""A running server, the same image's results by the command line, and the page in Chromium."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from headless_chromium import Chromium

from cellseg_mm.cli.main import main
from cellseg_mm.inference.results.formats import FORMATS

from .served_page import Page

MODEL, MPP = "he-consep", "0.25"


@pytest.fixture(scope="session")
def image(repository: Path) -> Path:
    """256 × 256 pixels of H&E, CC0, of NuCLS."""
    return repository / "docs" / "images" / "nucls.png"


@dataclass(frozen=True)
class Reference:
    """What `cellseg segment` wrote of the image.

    Attributes:
        folder: All formats.
        rows: Of the table.
        outlines: (N, 2) corners of each cell, in the order of the rows.
    """

    folder: Path
    rows: list[dict[str, str]]
    outlines: list[np.ndarray]

    def centre(self, number: int) -> tuple[float, float]:
        return float(self.rows[number]["x_px"]), float(self.rows[number]["y_px"])

    def count(self, name: str, level: int = 0) -> int:
        levels = [
            round(255 * float(row["score"])) for row in self.rows if name in (row["class"], "all")
        ]
        return sum(each >= level for each in levels)


@pytest.fixture(scope="session")
def reference(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The image's results by the command line, in every format."""
    folder = tmp_path_factory.mktemp("cli")
    options = ["--model", MODEL, "--mpp", MPP, "--out", str(folder), "--formats", *FORMATS]
    with pytest.raises(SystemExit) as ended:
        main(["segment", str(image), *options])
    assert ended.value.code == 0
    rows = list(csv.DictReader((folder / "nucls.csv").read_text().splitlines()))
    features = json.loads((folder / "nucls.geojson").read_text())["features"]
    outlines = [np.array(each["geometry"]["coordinates"][0]) for each in features]
    assert len(rows) == len(outlines) > 20
    return Reference(folder, rows, outlines)


@pytest.fixture(scope="session")
def address(
    chromium: Chromium, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Of a server with both published models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "cellseg_mm", "serve", "--port", str(port)]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*command, "--folder", str(folder / "jobs")],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    end = time.monotonic() + 300
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        said = (folder / "log").read_text()
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait(timeout=30)
    log.close()


@pytest.fixture
def page(chromium: Chromium, address: str) -> Page:
    """The page in a window of 1280 × 860 pixels, before it is opened."""
    chromium.resize(1280, 860)
    return Page(chromium, address)


@pytest.fixture(scope="session")
def job(chromium: Chromium, address: str, image: Path) -> str:
    """The job of the image, sent by the page."""
    chromium.resize(1280, 860)
    page = Page(chromium, address)
    page.open()
    chromium.wait("document.querySelector('#model').options.length > 1")
    chromium.run(f"document.querySelector('#model').value = {MODEL!r}")
    chromium.run(f"document.querySelector('#mpp').value = {MPP!r}")
    chromium.choose_files("#file", image)
    page.wait_for("#status", r"nucls\.png: [\d,]+ cells\.", 120)
    return re.sub("^#", "", chromium.run("location.hash"))
