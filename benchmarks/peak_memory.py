"""Peak memory of a piece of work, in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_extra_bytes(prepare: Callable[..., Callable[[], Any]], *args: Any) -> tuple[int, Any]:
    """Run ``prepare(*args)`` and then what it returns, in a fresh process.

    Args:
        prepare: A function at the top of a module; makes the inputs and returns the work.
        args: Its arguments, which must be picklable.

    Returns:
        How far the process's resident memory rose during the work, above what the inputs take, and
        what the work returned.

    Raises:
        RuntimeError: The process died, most likely for want of memory.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, prepare, args))
    process.start()
    sender.close()
    try:
        answer: tuple[int, Any] = receiver.recv()
    except EOFError:
        raise RuntimeError("The measuring process died: is there enough memory?") from None
    finally:
        process.join()
    return answer


def available_bytes() -> int | None:
    """Memory that can still be had, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    entries = dict(line.split(":", 1) for line in lines)
    return int(entries["MemAvailable"].split()[0]) * 1024


def _child(sender: Connection, prepare: Callable[..., Callable[[], Any]], args: Any) -> None:
    work = prepare(*args)
    before = _resident_before()
    result = work()
    sender.send((max(0, _peak() - before), result))
    sender.close()


def _resident_before() -> int:
    """Resident bytes now; the peak counter starts again where the system can do that."""
    try:
        _CLEAR.write_text("5")
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    if _STATUS.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(key: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {key}")
