"""Runs scripts in forked children of one process, which pays for the imports once.

Importing PyTorch and MMDetection takes a tool seconds, and tests start tools more than a hundred
times. A child is what ``python SCRIPT …`` or ``python -m MODULE …`` is, but for this:

* The libraries and most modules of the package are imported, thus registered, already: an import
  that a tool lacks is not seen, nor is a warning that comes with an import.
* Variables that Python or a library reads when it starts, such as ``PYTHONPATH`` or
  ``OMP_NUM_THREADS``, are those of the first process. So is the hash seed: all children see sets in
  the same order.
* OpenCV and PyTorch have one thread; a traceback begins in this file; an exception that nobody
  catches gives 1, KeyboardInterrupt, too.
* What a tool leaves running in its process group is killed when it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_REPOSITORY = Path(__file__).resolve().parents[1]
_PR_SET_PDEATHSIG = 1
"""Of Linux' ``prctl``: the signal that comes when the parent dies."""


class WarmPython:
    """The process that has imported the libraries; ``close`` ends it.

    It is started by the first call, and anew after one that failed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGUMENTS`` in the repository's root.

        Args:
            arguments: A script or ``-m`` and a module, then what it is given.
            environment: All environment variables.
            timeout: Seconds after which it is killed.

        Raises:
            subprocess.TimeoutExpired: It took too long.
            RuntimeError: The process that was to fork it died.
        """
        with tempfile.TemporaryDirectory() as folder, self._one_at_a_time:
            outputs = [Path(folder, name) for name in ("stdout", "stderr")]
            for path in outputs:
                path.touch()  # a child that is killed at once has not opened them
            code = self._ask([list(arguments), dict(environment), list(map(str, outputs)), timeout])
            out, err = (path.read_text(errors="replace") for path in outputs)
        if code is None:
            raise subprocess.TimeoutExpired(list(arguments), timeout, out, err)
        return subprocess.CompletedProcess(list(arguments), code, out, err)

    def _ask(self, request: list[object]) -> int | None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                cwd=_REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # no answer will come, either
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError(f"the warm process died (exit code {process.wait(10)})")
            return json.loads(answer)
        except BaseException:
            self.close()  # an answer that comes late would be taken for the next call's
            raise

    def close(self) -> None:
        """End the process, and with it the child that it waits for."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes the pipes, too


def _serve() -> None:
    from stress.tool_process import import_libraries

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else may write between the replies
    import_libraries()
    for request in sys.stdin:
        arguments, environment, outputs, timeout = json.loads(request)
        pid = os.fork()
        if pid == 0:
            _be_a_tool(replies.fileno(), arguments, environment, outputs)
        print(json.dumps(_wait(pid, timeout)), file=replies)


def _wait(pid: int, timeout: float) -> int | None:
    """A child's exit code, None if it took too long; then nothing of it runs any more."""
    descriptor = os.pidfd_open(pid)
    # No request comes before the reply: what comes on stdin is its end, when the tests have died.
    in_time = select.select([descriptor, 0], [], [], timeout)[0] == [descriptor]
    os.close(descriptor)
    for kill in (os.killpg, os.kill):  # it may be killed before it has its group
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


def _be_a_tool(
    replies: int, arguments: list[str], environment: dict[str, str], outputs: list[str]
) -> NoReturn:
    """The child's life."""
    code = 1
    try:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(replies)
            os.setsid()
            _become_new(environment, outputs)
            _run(arguments)
            code = 0
        except SystemExit as exit_:
            code = _exit_code(exit_.code)
        except BaseException:
            traceback.print_exc()
        # What Python does at its end, in its order.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _become_new(environment: dict[str, str], outputs: list[str]) -> None:
    """Put away what a child has of its parent but a new process has not."""
    import numpy as np
    import torch

    for number, path in enumerate([os.devnull, *outputs]):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another
    # From the system's entropy, as when they are imported; Python's own does so at each fork.
    np.random.seed()
    torch.default_generator.seed()


def _run(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def _exit_code(code: object) -> int:
    """What ``sys.exit`` makes of its argument."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    _serve()
