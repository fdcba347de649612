"""How far a batch is, how fast, and how long it will take."""

from __future__ import annotations

import time
from datetime import timedelta


class JobProgress:
    """Counts images and the pixels that were searched.

    Args:
        images: How many there are to do.
    """

    def __init__(self, images: int) -> None:
        self._images = images
        self._done = 0
        self._pixels = 0.0
        self._start = time.perf_counter()

    def add(self, pixels: float) -> None:
        """Count an image, failed ones, too."""
        self._done += 1
        self._pixels += pixels

    def __str__(self) -> str:
        """Such as "3 of 10, 0.5 images/s, 2.1 Mpx/s, 0:00:14 left"; the start counts as work."""
        seconds = time.perf_counter() - self._start
        rates = f"{self._done / seconds:.3g} images/s, {self._pixels / 1e6 / seconds:.3g} Mpx/s"
        parts = [f"{self._done} of {self._images}", rates]
        if self._done < self._images:
            left = (self._images - self._done) * seconds / max(self._done, 1)
            parts.append(f"{timedelta(seconds=round(left))} left")
        return ", ".join(parts)
