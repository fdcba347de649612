"""Commands that do not outlive this process."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def run_logged(command: Sequence[str], log: Path) -> int:
    """Run a command to its end, with stdout and stderr appended to a file; its exit code.

    An interrupt kills it. On Linux it is killed with this process, even if that is killed itself.
    The code is negative if a signal ended it.
    """
    with log.open("ab") as file:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent(),
            check=False,
        ).returncode


def _die_with_parent() -> Callable[[], None] | None:
    """What the child calls first: ask the kernel for SIGKILL when the parent is gone."""
    if not sys.platform.startswith("linux"):
        return None
    # Looked up here: between fork and exec, a child should do as little as possible.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
