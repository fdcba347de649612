"""What the server allows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServeOptions:
    """Where jobs lie, and how much is taken.

    Attributes:
        folder: Of the jobs; everything that the server writes lies in it.
        max_megabytes: Largest upload, 10⁶ bytes.
        max_megapixels: Largest image, 10⁶ pixels.
        max_jobs: Most jobs that wait or run, uploads counted.
        keep_days: After so many days a job that is over is removed.
        device: Where models run, as for ``cellseg segment``.
    """

    folder: Path
    max_megabytes: float = 1024
    max_megapixels: float = 1000
    max_jobs: int = 100
    keep_days: float = 30
    device: str = "auto"
