"""Images, and what one process finds in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from cellseg_mm.cli.main import main
from cellseg_mm.preparation.synthetic_cells import synthesize_image
from cellseg_mm.runs.model_bundle import ModelBundle

NAMES = [f"{letter}.png" for letter in "abcdefghij"]
DAMAGED = "d.png"


@pytest.fixture(scope="session")
def ten_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images of 400×400, one of them damaged."""
    folder = tmp_path_factory.mktemp("ten")
    for seed, name in enumerate(NAMES):
        pixels = synthesize_image(np.random.default_rng(seed), 400, 400, 20).rgb
        Image.fromarray(pixels).save(folder / name)
    (folder / DAMAGED).write_bytes((folder / DAMAGED).read_bytes()[:300])
    return folder


@pytest.fixture(scope="session")
def segment(bundle: ModelBundle) -> Callable[..., int]:
    """Runs ``cellseg segment``; returns its exit code."""

    def run(images: Path, out: Path, *options: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(arguments_of(bundle, images, out, *options))
        return int(caught.value.code or 0)

    return run


def arguments_of(bundle: ModelBundle, images: Path, out: Path, *options: str) -> list[str]:
    model = ["--model", str(bundle.folder), "--mpp", "0.25", "--formats", "geojson", "labels"]
    return ["segment", str(images), "--out", str(out), *model, *options]


@pytest.fixture(scope="session")
def alone(
    ten_images: Path, segment: Callable[..., int], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What one process writes."""
    out = tmp_path_factory.mktemp("alone")
    assert segment(ten_images, out) == 1
    return contents(out)


def contents(out: Path) -> dict[str, Any]:
    """All files of a folder, without the seconds that images took."""
    found: dict[str, Any] = {}
    for path in out.iterdir():
        found[path.name] = path.read_bytes()
        if path.name.endswith("_run.json"):
            found[path.name] = json.loads(found[path.name])
            del found[path.name]["found"]["seconds"]
        if path.name == "summary.csv":
            header, *rows = (line.split(",") for line in path.read_text().splitlines())
            place = header.index("seconds")
            found[path.name] = [header, *([*r[:place], *r[place + 1 :]] for r in rows)]
    return found


def writer_of(out: Path, processes: Callable[[], Sequence[psutil.Process]]) -> psutil.Process:
    """Wait until one of the processes is in the middle of an image."""
    limit = time.monotonic() + 300
    while time.monotonic() < limit:
        for process in processes():
            try:
                files = [file.path for file in process.open_files()]
            except psutil.Error:
                continue
            if any(path.startswith(str(out)) and ".unfinished" in path for path in files):
                return process
        time.sleep(0.005)
    raise TimeoutError("no process writes results")
