"""No command outlives the process that runs it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cellseg_mm.ablation.child_process import run_logged

PARENT = """
import pathlib, sys
from cellseg_mm.ablation.child_process import run_logged
code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
run_logged([sys.executable, "-c", code], pathlib.Path(sys.argv[1]))
"""


def test_output_and_exit_code(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import sys; print('out'); sys.exit('err')"

    assert run_logged([sys.executable, "-c", code], log) == 1
    assert sorted(log.read_text().splitlines()) == ["before", "err", "out"]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_with_its_parent(tmp_path, how):
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, log], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < end
        time.sleep(0.05)
    child = int(log.read_text())
    assert is_running(child)

    parent.send_signal(how)
    parent.wait(timeout=30)
    while is_running(child):
        assert time.monotonic() < end
        time.sleep(0.05)
