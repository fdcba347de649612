"""Slides a minute by one process, by two, and by two Ray nodes of which one is killed.

    python benchmarks/many_slides.py MODEL [--slides N] [--size S] [OPTION ...]

Paints slides, as benchmarks/large_image.py does, and segments them; further options go to
cellseg segment. Each process has one thread. The nodes are of this machine, with a core each; one
is killed, with its worker, in the middle of a slide. The exit code is 1 if files differ, if a slide
was done twice, if no node could be killed in time, or if the command failed on the nodes; it is the
command's own if that failed by one process or two.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from large_image import REPOSITORY, Segmentation, Slide, differences

LOOPBACK = "127.0.0.2"
"""Ray takes 127.0.0.1 for the machine's address outside."""

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": LOOPBACK}

os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
os.environ["PYTHONPATH"] = str(REPOSITORY)  # of the nodes, too


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name, folder or checkpoint")
    parser.add_argument("--slides", type=int, default=10, metavar="N", help="default: 10")
    parser.add_argument("--size", type=int, default=4000, metavar="S", help="default: 4000 px")
    parser.add_argument("--tissue", type=float, default=0.25, metavar="SHARE", help="of a slide")
    return parser.parse_known_args()


def by_two_nodes(slides: Path, out: Path, model: str, options: list[str]) -> bool:
    """Segment on two nodes, and kill one; whether that failed."""
    from ray.cluster_utils import Cluster

    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    with ExitStack() as ends:
        ends.callback(cluster.shutdown)
        cluster.add_node(**NODE)
        doomed: Any = cluster.add_node(**NODE)
        start = time.perf_counter()
        command = Segmentation(model, [*options, "--ray", cluster.address]).start(slides, out)
        ends.callback(command.wait)
        ends.callback(command.kill)  # nothing to one that has ended
        written: dict[str, set[int]] = {}
        killed = over = False
        while not over:
            over = command.poll() is not None  # and once more for what it wrote last
            for record in out.glob("*_run.json"):
                written.setdefault(record.name, set()).add(record.stat().st_mtime_ns)
            if written and not (killed or over):
                killed = kill(doomed, out)
            time.sleep(0.05)
        seconds = time.perf_counter() - start
    twice = [name for name, times in written.items() if len(times) > 1]
    print(f"a node killed: {killed}; exit code {command.returncode}")
    print(f"done twice: {', '.join(twice) or 'none'}")
    print(f"two nodes, one killed: {seconds:.1f} s", flush=True)
    return bool(twice) or not killed or command.returncode != 0


def kill(node: Any, out: Path) -> bool:
    """Kill a node and its worker while that writes a slide's results; whether it did."""
    try:
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        workers = [p for p in raylet.children() if "RayWorker" in " ".join(p.cmdline())]
        if not any(str(out) in file.path for worker in workers for file in worker.open_files()):
            return False
    except psutil.NoSuchProcess:  # one that ended while it was looked at
        return False
    for worker in workers:  # first: they end by themselves when they miss their raylet
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    for parts in node.all_processes.values():
        for part in parts:
            part.process.kill()
    return True


def main() -> int:
    args, options = parse_args()
    model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slides = folder / "slides"
        slides.mkdir()
        slide = Slide(args.size, args.size, args.tissue)
        for number in range(args.slides):
            slide.write(slides / f"{number}.tif", [1])
        area = args.slides * args.size**2 / 1e6
        print(f"{args.slides} slides, {area:,.0f} megapixels, {args.tissue:.0%} of them tissue")
        one, _ = Segmentation(model, options).run(slides, folder / "one")
        print(f"one process: {one:.1f} s", flush=True)
        two, _ = Segmentation(model, [*options, "--workers", "2"]).run(slides, folder / "two")
        print(f"--workers 2: {two:.1f} s, {one / two:.2f} times as fast", flush=True)
        failed = by_two_nodes(slides, folder / "nodes", model, options)
        expected = folder / "one"
        differing = [n for run in ("two", "nodes") for n in differences(folder / run, expected)]
        print(f"files that differ: {', '.join(differing) or 'none'}")
    return 1 if differing or failed else 0


if __name__ == "__main__":
    sys.exit(main())
