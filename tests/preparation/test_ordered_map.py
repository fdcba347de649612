from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from cellseg_mm.preparation.ordered_map import ordered_map


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order(workers):
    assert list(ordered_map(abs, range(-9, 0), workers, "test", show_progress=False)) == [
        9, 8, 7, 6, 5, 4, 3, 2, 1
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised(workers):
    with pytest.raises(ValueError, match="invalid literal"):
        list(ordered_map(int, ["1", "x", "3"], workers, "test", show_progress=False))


def test_nothing_to_do():
    assert list(ordered_map(abs, [], 4, "test", show_progress=False)) == []


def test_a_killed_process_is_told():
    # `os._exit` ends a process without a word, as the kernel does when memory runs out.
    with pytest.raises(OSError, match="use fewer workers"):
        list(ordered_map(os._exit, [1, 2], 2, "test", show_progress=False))


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "work.py").write_text(
        "import os, pathlib, time\n"
        "from cellseg_mm.preparation.ordered_map import ordered_map\n"
        "def work(folder):\n"
        "    pathlib.Path(folder, f'worker-{os.getpid()}').touch()\n"
        "    time.sleep(0.2)\n"
        "if __name__ == '__main__':\n"
        f"    for _ in ordered_map(work, [{str(tmp_path)!r}] * 1000, 2, '', False): pass\n"
    )
    parent = subprocess.Popen([sys.executable, tmp_path / "work.py"])
    try:
        _wait_for(lambda: len(list(tmp_path.glob("worker-*"))) == 2)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    workers = [int(path.name.removeprefix("worker-")) for path in tmp_path.glob("worker-*")]
    _wait_for(lambda: not any(map(_lives, workers)))


def _wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
