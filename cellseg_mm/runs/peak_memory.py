"""The most memory that this process has used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def peak_memory_bytes() -> int:
    """Most memory so far: of the GPU where there is one, else resident memory of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        # Unlike ru_maxrss, this does not start from the parent's memory.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
