"""How fast the page of ``cellseg serve`` is, in headless Chromium without a GPU.

From the command to the server's answer; from the choice of a 1000×1000 image to its cells on the
screen; and how long the page blocks while a slide with 100,000 cells is moved and zoomed: the
longest gap between two frames, and the most CPU time that one task of the page's thread takes,
which other programs do not change. Needs Chromium.

    python benchmarks/served_page.py [IMAGE] [--cells N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from cellseg_mm.inference.results.polygon import polygon
from cellseg_mm.preparation.synthetic_cells import SyntheticImage, synthesize_image

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from headless_chromium import Chromium

SIDE, CELLS = 1000, 600
"""Of the image: CoNSeP has 24,319 cells in 41 images of 1 Mpx, 593 each."""

WATCH = """(() => {
  window.gaps = [];
  let last = performance.now();
  (function frame(now) { gaps.push(now - last); last = now; requestAnimationFrame(frame); })(last);
})()"""
SETTLED = "page.layer.settled && page.viewer.osd.world.getItemAt(0)?.getFullyLoaded()"
MIDDLE = (640, 430)


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Address of a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cellseg_mm", "serve", "--port", str(port)]
    begin = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--folder", str(folder / "jobs")], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        while not answers(address):
            if server.poll() is not None:
                sys.exit(f"The server ended with exit code {server.returncode}.")
            time.sleep(0.02)
        print(f"start of the server: {time.perf_counter() - begin:.1f} s", flush=True)
        yield address
    finally:
        server.terminate()
        server.wait()


def repeated_features(scene: SyntheticImage, columns: int, rows: int) -> Iterator[dict[str, Any]]:
    """The cells of a square, over and over, as GeoJSON."""
    rings = [polygon(cell.crop.bitmap, cell.crop.left, cell.crop.top)[0] for cell in scene.cells]
    for row in range(rows):
        for column in range(columns):
            for cell, ring in zip(scene.cells, rings, strict=True):
                corners = np.add(ring, (column * SIDE, row * SIDE)).tolist()
                name = f"class {cell.class_id}"
                yield {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
                    "properties": {
                        "classification": {"name": name},
                        "measurements": {"score": 0.5},
                    },
                }


def ask(address: str, method: str, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(address + path, body, {"X-Cellseg": "1"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def answers(address: str) -> bool:
    """Whether a server has begun to answer."""
    try:
        ask(address, "GET", "models")
    except urllib.error.HTTPError:
        raise  # an answer that does not change
    except OSError:
        return False
    return True


def slide_job(address: str, folder: Path, cells: int) -> str:
    """A slide of the synthetic image repeated, with its cells as truth; id of the job."""
    scene = synthesize_image(np.random.default_rng(0), SIDE, SIDE, CELLS)
    columns = round((cells / len(scene.cells)) ** 0.5)
    rows = -(-cells // (len(scene.cells) * columns))
    slide = folder / "slide.tif"
    pixels = np.tile(scene.rgb, (rows, columns, 1))
    with tifffile.TiffWriter(slide) as writer:
        options: dict[str, Any] = {"tile": (512, 512), "compression": "jpeg", "photometric": "rgb"}
        scale = {"resolution": (40000, 40000), "resolutionunit": "CENTIMETER"}  # 0.25 µm
        writer.write(pixels, **options, **scale)
    features = list(repeated_features(scene, columns, rows))
    truth = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    job = ask(address, "POST", "segment?name=slide.tif", slide.read_bytes())
    ask(address, "DELETE", f"jobs/{job['id']}")
    found = ask(address, "POST", f"jobs/{job['id']}/truth?name=truth.geojson", truth)
    print(f"slide: {found['width']}×{found['height']} pixels, {found['cells']:,} cells", flush=True)
    return str(found["id"])


def open_page(tab: Chromium, address: str) -> None:
    tab.open(address)
    tab.run("import('/static/js/main.js').then((page) => { window.page = page; })")
    tab.wait("document.querySelector('#model').options.length > 0")


def seconds_to_cells(tab: Chromium, address: str, image: Path) -> float:
    """From the choice of a file to its cells, drawn."""
    open_page(tab, address)
    tab.run("document.querySelector('#mpp').value = '0.25'")
    before = tab.run("page.state.jobs.length")
    begin = time.perf_counter()
    tab.choose_files("#file", image)
    tab.wait(f"page.state.jobs.length > {before} && page.state.job === page.state.jobs[0]", 300)
    tab.wait(f"page.state.histogram && {SETTLED}", 300)
    tab.settle()
    return time.perf_counter() - begin


def longest_gap(tab: Chromium, what: str) -> None:
    """Print the longest gap between frames since the last call."""
    gaps, detail = tab.run("[gaps.splice(0), page.layer.detail]")
    gaps = sorted(gaps[1:])
    print(
        f"{what} ({detail}): longest gap {gaps[-1]:.0f} ms, 95 % of {len(gaps)} frames within "
        f"{gaps[int(0.95 * len(gaps))]:.0f} ms",
        flush=True,
    )


def longest_task(tab: Chromium) -> float:
    """End the trace; the most CPU time of a task of the page's thread, milliseconds."""
    tab.events.clear()
    tab.send("Tracing.end")
    while not any(event["method"] == "Tracing.tracingComplete" for event in tab.events):
        tab.run("0")  # events come with answers
        time.sleep(0.1)
    chunks = (event for event in tab.events if event["method"] == "Tracing.dataCollected")
    trace = [entry for chunk in chunks for entry in chunk["params"]["value"]]
    pages = {
        (entry["pid"], entry["tid"])
        for entry in trace
        if entry["name"] == "thread_name" and entry["args"]["name"] == "CrRendererMain"
    }
    tasks = (
        entry.get("tdur", 0)
        for entry in trace
        if entry["name"].endswith("RunTask") and (entry["pid"], entry["tid"]) in pages
    )
    return max(tasks) / 1000


def measure_moving(tab: Chromium, address: str, job: str) -> None:
    """Drag at four zooms, then turn the wheel all the way in and out."""
    open_page(tab, f"{address}#{job}")
    tab.wait(SETTLED, 120)
    tab.run(WATCH)
    categories = {"includedCategories": ["toplevel"], "recordMode": "recordAsMuchAsPossible"}
    tab.send("Tracing.start", traceConfig=categories)
    x, y = MIDDLE
    for zoom in (1, 3, 8, 25):
        tab.run(f"void page.viewer.osd.viewport.zoomTo({zoom})")
        time.sleep(0.5)  # the way there is an animation
        tab.wait(SETTLED, 120)
        longest_gap(tab, f"zoom to {zoom}×")
        for dx, dy in ((280, 200), (-280, 100), (200, -260), (-300, -100)):
            tab.drag((x, y), (x + dx, y + dy), seconds=0.6)
            time.sleep(0.4)
        longest_gap(tab, f"drag at {zoom}×")
    for delta, words in ((240, "wheel out"), (-240, "wheel in")):
        for _ in range(30):
            tab.wheel(x, y, delta)
            time.sleep(0.05)
        tab.wait(SETTLED, 120)
        longest_gap(tab, words)
    print(f"most CPU time of one task of the page: {longest_task(tab):.0f} ms", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", nargs="?", type=Path, help="default: a synthetic one")
    parser.add_argument("--cells", type=int, default=100_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        sys.exit("Chromium is not on the PATH: install it.")
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as address:
        folder = Path(name)
        image = args.image
        if image is None:
            image = folder / "image.png"
            scene = synthesize_image(np.random.default_rng(1), SIDE, SIDE, CELLS)
            Image.fromarray(scene.rgb).save(image)
        tab = Chromium(binary, folder / "profile")
        tab.resize(1280, 860)
        for number in range(args.repeats):
            seconds = seconds_to_cells(tab, address, image)
            print(f"upload {number + 1} to cells on the screen: {seconds:.1f} s", flush=True)
        measure_moving(tab, address, slide_job(address, folder, args.cells))
        tab.close()


if __name__ == "__main__":
    main()
