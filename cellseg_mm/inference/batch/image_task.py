"""One image of a batch: its results, and what became of it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cellseg_mm.errors import UserError, printable
from cellseg_mm.inference.batch.batch_options import BatchOptions
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_record import read_finished, write_record
from cellseg_mm.inference.results.formats import result_paths, write_results


class ImageOutcome(NamedTuple):
    """What became of an image.

    Attributes:
        image: The image.
        found: What is worth telling; None if it failed.
        pixels: How many were searched.
        error: Why it failed, one sentence.
        fault: The traceback, if it was a fault of this package.
    """

    image: NamedImage
    found: Mapping[str, Any] | None
    pixels: float = 0.0
    error: str = ""
    fault: str = ""


@dataclass(frozen=True)
class ImageTask:
    """Segments an image and writes its results, the same in every process.

    Attributes:
        out: Folder of the results.
        options: What is asked for.
        asked: What the results depend on, for the image's record.
    """

    out: Path
    options: BatchOptions
    asked: Mapping[str, Any]

    def attempt(
        self,
        segmenter: Any,
        image: NamedImage,
        again: bool = False,
        on_tile: Callable[[int, int], object] | None = None,
    ) -> ImageOutcome:
        """Segment an image, or say why not.

        Args:
            segmenter: A ``CellSegmenter``.
            image: The image.
            again: Whether another process was lost at it, which may have finished it before.
            on_tile: Called after each tile with how many are done and how many there are.
        """
        if again and (found := read_finished(self.out, image.name, image.path, self.asked)):
            return ImageOutcome(image, found)
        try:
            return self._segment(segmenter, image, on_tile)
        except (UserError, OSError) as error:
            return ImageOutcome(image, None, error=printable(str(error)))
        except Exception as error:  # thousands of others are not lost with it
            reason = f"A fault of this package ({type(error).__name__}: {error})."
            return ImageOutcome(image, None, error=printable(reason), fault=traceback.format_exc())

    def _segment(
        self, segmenter: Any, image: NamedImage, on_tile: Callable[[int, int], object] | None
    ) -> ImageOutcome:
        options, start = self.options, time.perf_counter()
        folder = (self.out / image.name).parent
        with segmenter.open(
            image.path,
            mpp=options.mpp,
            roi=options.roi,
            tissue=options.tissue,
            channel_order=options.channel_order,
            name=image.title or image.name.name,
        ) as job:
            done = 0

            def count() -> None:
                nonlocal done
                done += 1
                if on_tile is not None:
                    on_tile(done, job.tiles)

            cells = job.cells(options.min_score, on_tile=count)
            stem = image.name.name
            counts = write_results(cells, folder, job.image, options.formats, stem)
            summary = counts.summary(job.analysed_pixels)
            found = {
                # Not a number: the scale is unknown.
                **{k: v if v == v else None for k, v in summary.items() if k != "image"},
                "seconds": round(time.perf_counter() - start, 2),
                "warnings": list(job.image.warnings),
            }
        written = [path for path in result_paths(folder, stem, options.formats) if path.exists()]
        write_record(self.out, image.name, image.path, self.asked, written, found)
        return ImageOutcome(image, found, job.analysed_pixels)
