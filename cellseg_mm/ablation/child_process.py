"""Child processes that do not outlive this one, and a lock that no two of these processes share."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cellseg_mm.errors import UserError

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PATIENCE = 15  # seconds; data loader workers notice within 5 that their parent is gone


def run_logged(command: Sequence[str], log: Path, keep_open: Sequence[int] = ()) -> int:
    """Run a command to its end, with its output appended to a file.

    On Linux the child is killed with this process, even if that is killed itself.

    Args:
        command: Program and arguments.
        log: File for what it writes to stdout and stderr.
        keep_open: File descriptors that it inherits.

    Returns:
        Its exit code, negative if a signal ended it.
    """
    with log.open("ab") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(keep_open),
            preexec_fn=_die_with_parent(),
        )
        try:
            return child.wait()
        except BaseException:  # an interrupt: leave nothing running
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
            raise


@contextmanager
def exclusive(folder: Path) -> Iterator[int]:
    """Lock a folder for this process and the children that inherit the descriptor it yields.

    Raises:
        ValueError: Another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UserError(
                        f"Another process is running the ablation in {folder}: wait for it, or "
                        "name another folder with --out."
                    ) from None
                time.sleep(0.2)
        yield lock
    finally:
        os.close(lock)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child calls first: ask the kernel for SIGKILL when the parent is gone."""
    if not sys.platform.startswith("linux"):
        return None
    # Looked up here: between fork and exec, a child should do as little as possible.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
