"""Runs the tools in forked children: the imports, which take seconds, are paid once."""

from __future__ import annotations

import os
import resource
import runpy
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MEMORY_LIMIT = 2 << 30
"""Bytes that a tool may take beside what its libraries take when they are imported."""


@dataclass(frozen=True)
class Outcome:
    """How a tool ended.

    Attributes:
        command: What was run, for a person who wants to do the same.
        code: Exit code; negative: the signal that ended it.
        output: What it wrote to standard output and standard error.
        seconds: Time from its start to its end.
        memory: Most bytes that it held beside those of its libraries.
        hung: It was ended since it took more than its time.
        left_behind: Processes of it that went on after its end.
    """

    command: str
    code: int
    output: str
    seconds: float
    memory: int
    hung: bool = False
    left_behind: int = 0


def import_libraries() -> None:
    """Import all that the tools import, so that forked children have it."""
    import cv2
    import torch

    import cellseg_mm.ablation.run_ladder
    import cellseg_mm.analysis.dataset_figure
    import cellseg_mm.evaluation.submission_check
    import cellseg_mm.inference.batch.segment_batch
    import cellseg_mm.inference.cell_segmenter
    import cellseg_mm.inference.ensemble
    import cellseg_mm.preparation.convert_dataset
    import cellseg_mm.preparation.prepare_dataset
    import cellseg_mm.preparation.synthetic_cells
    import cellseg_mm.register
    import cellseg_mm.reporting.html_report
    import cellseg_mm.runs.publish_model
    import cellseg_mm.runs.quiet_runner
    import cellseg_mm.visualization.loader_samples  # noqa: F401
    from cellseg_mm.preparation.formats.registry import FORMATS, format_module

    for name in FORMATS:
        format_module(name)

    # A fork keeps one thread: pools of others would wait for ever.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def run_tool(
    script: str,
    *arguments: object,
    seconds: float = 120,
    kill: tuple[signal.Signals, float] | None = None,
    cold: bool = False,
) -> Outcome:
    """Run a script of the project, such as ``tools/test.py``.

    Args:
        script: Its path in the repository.
        arguments: Its arguments.
        seconds: Time that it may take.
        kill: A signal, and after how many seconds it is sent. They begin when the tool has taken
            over SIGTERM, its first step.
        cold: Start Python anew, so that the libraries are imported.
    """
    argv = [str(REPOSITORY / script), *map(str, arguments)]

    def run() -> None:
        if cold:
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
            os.execve(sys.executable, [sys.executable, *argv], environment)
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")

    return _fork(run, " ".join([script, *argv[1:]]), seconds, kill)


def run_reader(read: Callable[[], object], name: str, seconds: float = 60) -> Outcome:
    """Run a function as a tool would: what the user can mend is a sentence and exit code 2."""
    from cellseg_mm.runs.user_errors import exit_with_a_sentence

    def run() -> None:
        with exit_with_a_sentence():
            read()

    return _fork(run, name, seconds, None)


def _fork(
    run: Callable[[], None],
    command: str,
    seconds: float,
    kill: tuple[signal.Signals, float] | None,
) -> Outcome:
    sys.stdout.flush()
    sys.stderr.flush()
    # In memory: a full disk is not what is tried.
    output = os.memfd_create("output")
    ours = _resident_bytes()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be_a_tool(run, output)
    descriptor = os.pidfd_open(pid)
    if kill is not None:
        while not _has_begun(pid) and time.monotonic() - start < seconds:
            if select.select([descriptor], [], [], 0.005)[0]:
                break  # it has ended
        if not select.select([descriptor], [], [], kill[1])[0]:
            os.kill(pid, kill[0])
    hung = not select.select([descriptor], [], [], seconds)[0]
    if hung:
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - start
    left_behind = _end_session(pid)
    with os.fdopen(output, "rb") as file:
        file.seek(0)
        text = file.read().decode(errors="replace")
    return Outcome(
        command,
        os.waitstatus_to_exitcode(status),
        text,
        took,
        max(usage.ru_maxrss * 1024 - ours, 0),
        hung,
        left_behind,
    )


def _be_a_tool(run: Callable[[], None], output: int) -> None:
    """The child's life; never returns."""
    code: int = 1
    try:
        # As Python starts, whatever handlers the parent has; see _has_begun for the order.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = _virtual_bytes() + MEMORY_LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        run()
        code = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _end_session(session: int) -> int:
    """End what a tool left running; it gets some seconds to see that its parent has gone."""
    deadline = time.monotonic() + 10
    while (left := _members(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def _has_begun(pid: int) -> bool:
    """Whether a tool has taken over SIGTERM; in its session it has no handler of its parent's."""
    return os.getsid(pid) == pid and _catches(pid, signal.SIGTERM)


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "x:0")
    return bool(int(caught.split(":")[1], 16) >> (number - 1) & 1)


def _members(session: int) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
