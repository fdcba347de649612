"""Where in an image cells are looked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellseg_mm.inference.region_of_interest import RegionOfInterest, read_region_of_interest
from cellseg_mm.inference.tissue import find_tissue
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.readers.image_reader import ImageReader


@dataclass(frozen=True)
class SearchArea:
    """A part of an image, in pixels of its full resolution.

    Attributes:
        touches: Whether a rectangle, (x1, y1, x2, y2), is to be searched.
        pixels: Its area.
        polygons: What a cell's centre must lie in, if anything.
        warnings: Sentences on what was decided.
    """

    touches: Callable[[float, float, float, float], bool]
    pixels: float
    polygons: RegionOfInterest | None = None
    warnings: Sequence[str] = ()

    def has(self, cell: DetectedCell, factor_x: float, factor_y: float) -> bool:
        """Whether a cell of a view, whose pixels are so many of the image, lies inside."""
        if self.polygons is None:
            return True
        y, x = (np.mean(places) + 0.5 for places in np.nonzero(cell.bitmap))
        return bool(self.polygons.contains((x + cell.left) * factor_x, (y + cell.top) * factor_y))


def search_area(
    image: ImageReader, roi: str | Path | RegionOfInterest | None, tissue: bool
) -> SearchArea:
    """What a person has drawn; else the tissue, if it is asked for; else everything.

    Raises:
        UserError: The polygons lie outside of the image or cannot be read, or it is damaged.
    """
    pixels = float(image.width * image.height)
    if roi is not None:
        polygons = roi if isinstance(roi, RegionOfInterest) else read_region_of_interest(Path(roi))
        polygons.check_overlap(image.width, image.height, image.path)
        pixels = polygons.area_within(image.width, image.height)
        return SearchArea(polygons.touches, pixels, polygons)
    if tissue:
        found = find_tissue(image)
        return SearchArea(found.touches, found.fraction * pixels, None, found.warnings)
    return SearchArea(lambda *_: True, pixels)
