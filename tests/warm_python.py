"""Runs scripts in forked children of one process, which pays for the imports once.

Importing PyTorch and MMDetection takes a tool seconds, and tests start tools more than a hundred
times. A child is what ``python SCRIPT …`` or ``python -m MODULE …`` is, but for that.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]


class WarmPython:
    """The process that has imported the libraries; ``close`` ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=_REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
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
        """
        with tempfile.TemporaryDirectory() as folder, self._one_at_a_time:
            outputs = [Path(folder, name) for name in ("stdout", "stderr")]
            request = [list(arguments), dict(environment), list(map(str, outputs)), timeout]
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code = json.loads(self._process.stdout.readline())
            out, err = (path.read_text(errors="replace") for path in outputs)
        if code is None:
            raise subprocess.TimeoutExpired(list(arguments), timeout, out, err)
        return subprocess.CompletedProcess(list(arguments), code, out, err)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def _serve() -> None:
    from stress.tool_process import import_libraries

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing else may write between the replies
    import_libraries()
    for request in sys.stdin:
        arguments, environment, outputs, timeout = json.loads(request)
        pid = os.fork()
        if pid == 0:
            replies.close()
            os._exit(_child(arguments, environment, outputs))
        print(json.dumps(_wait(pid, timeout)), file=replies)


def _wait(pid: int, timeout: float) -> int | None:
    """A child's exit code; None if it had to be killed."""
    timer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(pid, 0)
    late = not timer.is_alive()
    timer.cancel()
    timer.join()
    return None if late else os.waitstatus_to_exitcode(status)


def _child(arguments: list[str], environment: dict[str, str], outputs: list[str]) -> int:
    """Be a tool; the exit code."""
    os.setsid()
    for number, path in enumerate([os.devnull, *outputs]):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY), number)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    code: object = None
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = str(Path(arguments[0]).resolve().parent)
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    _serve()
