"""Images that are open to be looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cellseg_mm.readers.open_image import open_image
from cellseg_mm.serve.deep_zoom import DeepZoom

_MOST_IMAGES = 6
_MOST_PIXELS = 500_000_000
"""Of all open images, since some formats are decoded as a whole; one alone may have more."""


@dataclass(eq=False)
class _Open:
    zoom: DeepZoom | None = None
    pixels: int = 0
    users: int = 0
    file: ExitStack = field(default_factory=ExitStack)
    opening: threading.Lock = field(default_factory=threading.Lock)


class ImageViews:
    """Opens images when they are first looked at, and closes those not looked at for longest."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _Open] = OrderedDict()
        self._changing = threading.Lock()

    @contextmanager
    def view(self, path: Path) -> Iterator[DeepZoom]:
        """Give the tiles of an image, which stays open until the block ends at least.

        Raises:
            UserError: It cannot be read.
        """
        with self._changing:
            entry = self._open.setdefault(path, _Open())
            self._open.move_to_end(path)
            entry.users += 1
        try:
            with entry.opening:
                if entry.zoom is None:
                    image = entry.file.enter_context(open_image(path))
                    entry.pixels = image.width * image.height
                    entry.zoom = DeepZoom(image)
            yield entry.zoom
        finally:
            with self._changing:
                entry.users -= 1
                if entry.zoom is None and not entry.users:
                    self._open.pop(path, None)
                closed = self._superfluous()
            for other in closed:
                other.file.close()

    def close(self) -> None:
        """Close all images."""
        with self._changing:
            entries = list(self._open.values())
            self._open.clear()
        for entry in entries:
            entry.file.close()

    def _superfluous(self) -> list[_Open]:
        """Take those out that are too many."""
        found = []
        for path, entry in list(self._open.items()):
            pixels = sum(other.pixels for other in self._open.values())
            if len(self._open) <= _MOST_IMAGES and pixels <= _MOST_PIXELS:
                break
            if not entry.users and len(self._open) > 1:
                found.append(self._open.pop(path))
        return found
