"""What every reader of images offers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from cellseg_mm.errors import UserError, one_line


class Level(NamedTuple):
    """A stored size of an image, pixels."""

    width: int
    height: int


class ImageReader(ABC):
    """An open image; :func:`cellseg_mm.readers.open_image.open_image` makes one.

    Several threads may read at a time; they take turns.

    Args:
        path: The file, for messages. It must not change while it is open.
        levels: Stored sizes, the full one first.

    Attributes:
        path: The file.
        width: Full resolution, pixels.
        height: Full resolution, pixels.
        levels: Stored sizes from the full one, which is level 0, down.
        mpp: µm per pixel of the full resolution in x and in y; None if the file does not say.
        origin: Where the image's corner lies in the frame of its slide, pixels. Slides of some
            scanners state the part that was scanned; as in QuPath, the image is that part only, so
            results need no offset there. Programs that show the whole frame need it added.
        warnings: Sentences on what was decided without being asked.
        swapped: Red and blue are swapped in the file.
    """

    def __init__(self, path: Path, levels: list[Level]) -> None:
        self.path = path
        self.levels = levels
        self.width, self.height = levels[0]
        self.mpp: tuple[float, float] | None = None
        self.origin = (0, 0)
        self.warnings: list[str] = []
        self.swapped = False
        self._lock = threading.Lock()
        self._stamp = _stamp(path)

    def read(self, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """The region from (x1, y1) up to (x2, y2): (3, y2 - y1, x2 - x1) uint8, RGB.

        Raises:
            UserError: The file is damaged there, or has changed since it was opened.
            ValueError: The region is empty or leaves the image.
        """
        return self.read_level(0, x1, y1, x2, y2)

    def read_level(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """As :meth:`read`, in the pixels of a level."""
        width, height = self.levels[level]
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise ValueError(
                f"The region ({x1}, {y1}, {x2}, {y2}) is empty or leaves the {width}×{height} "
                f"pixels of level {level} of {self.path}."
            )
        with self._lock:
            try:
                pixels = self._read(level, x1, y1, x2, y2)
            except UserError:
                self._check_unchanged()
                raise
            except Exception as error:  # every codec has exceptions of its own
                self._check_unchanged()
                raise UserError(
                    f"{self.path} cannot be decoded at ({x1}, {y1}) of level {level} "
                    f"({one_line(error)}): save the image again."
                ) from error
            self._check_unchanged()
        return (pixels.flip(0) if self.swapped else pixels).contiguous()

    @abstractmethod
    def _read(self, level: int, x1: int, y1: int, x2: int, y2: int) -> Tensor:
        """As :meth:`read_level`, for a region that has been checked; channels as stored."""

    def _check_unchanged(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise UserError(
                f"{self.path} was changed or removed while it was read: segment it again once it "
                "is complete."
            )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
