"""Images that wait for a worker; one whose worker was lost is tried again, but not for ever."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cellseg_mm.errors import UserError
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_task import ImageOutcome

RETRIES = 2


class Turn(NamedTuple):
    """An image for a worker.

    Attributes:
        image: The image.
        again: Whether a worker was lost at it before.
    """

    image: NamedImage
    again: bool


class ImageQueue:
    """Hands out each image once, and again when its worker is lost.

    Args:
        images: In the order in which they are handed out.
    """

    def __init__(self, images: Sequence[NamedImage]) -> None:
        self._waiting = deque(images)
        self._lost: Counter[Path] = Counter()
        self._failed_starts = 0

    def __len__(self) -> int:
        """Number of images that wait."""
        return len(self._waiting)

    def take(self) -> Turn | None:
        """The next image, if there is one."""
        if not self._waiting:
            return None
        image = self._waiting.popleft()
        return Turn(image, again=self._lost[image.name] > 0)

    def give_back(self, image: NamedImage) -> None:
        """Put an image first that no worker has begun."""
        self._waiting.appendleft(image)

    def lose(self, image: NamedImage, why: str) -> ImageOutcome | None:
        """Note that a worker was lost at an image.

        Returns:
            None if it is tried again; else what became of it.
        """
        self._lost[image.name] += 1
        if self._lost[image.name] <= RETRIES:
            self._waiting.append(image)  # last: if memory is short, others end first
            return None
        times = self._lost[image.name]
        reason = f"{times} workers were lost at it, the last one since {why}."
        return ImageOutcome(image, None, error=reason)

    def started(self) -> None:
        """Note that a worker can work."""
        self._failed_starts = 0

    def fail_start(self, why: str) -> None:
        """Note that a worker was lost before it could work.

        Raises:
            UserError: So were those before it.
        """
        self._failed_starts += 1
        if self._failed_starts > RETRIES:
            raise UserError(
                f"{self._failed_starts} workers in a row were lost at their start, the last one "
                f"since {why}: if memory is short, use fewer."
            )
