"""Who does the images of a batch: this process, several, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from tqdm import tqdm

from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_task import ImageOutcome, ImageTask

Outcomes = Generator[ImageOutcome, None, None]


class Executor(Protocol):
    """Does the images of a batch, in whatever order."""

    def run(self, task: ImageTask, images: Sequence[NamedImage]) -> Outcomes:
        """Give what became of each image as it is known.

        Closing the generator ends what is still at work.

        Raises:
            UserError: No image can be done, such as without the model's weights.
        """


class InProcess:
    """Does one image after the other, in this process.

    Args:
        load: Makes the ``CellSegmenter``; called when the first image needs it.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def run(self, task: ImageTask, images: Sequence[NamedImage]) -> Outcomes:
        """See :class:`Executor`."""
        segmenter = self._load() if images else None
        for image in images:
            with tqdm(desc=str(image.name), unit="tile", leave=False, disable=None) as bar:

                def show(done: int, tiles: int, bar: Any = bar) -> None:
                    bar.total = tiles
                    bar.update(done - bar.n)

                outcome = task.attempt(segmenter, image, on_tile=show)
            yield outcome
