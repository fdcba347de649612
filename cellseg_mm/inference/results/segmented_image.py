"""The cells of an image in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_mm.inference.results.cell_counts import CellCounts
from cellseg_mm.inference.results.formats import DEFAULT_FORMATS, write_results
from cellseg_mm.inference.results.geojson_file import cell_feature
from cellseg_mm.inference.results.measurements import table_columns
from cellseg_mm.inference.results.overlay_file import Overlay
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells
from cellseg_mm.inference.results.result_image import ResultImage


class SegmentedImage:
    """What was found in an image, all in its own pixels.

    A cell has one number everywhere, from 1 in the order of rows: it is its value in ``labels``,
    its ``id`` in ``table`` and in every file.

    Args:
        image: The image; it may be closed afterwards.
        batches: Its cells, see :func:`cellseg_mm.inference.results.formats.result_cells`.

    Attributes:
        image: What is known of the image: its name, classes, µm per pixel, and warnings.
        cells: The cells by rising numbers.
    """

    def __init__(self, image: ResultImage, batches: Iterable[ResultCells]) -> None:
        self.image = image
        self.cells: list[ResultCell] = [cell for batch in batches for cell in batch.cells]
        _ = image.picture  # for overlays, which may be asked for after the image was closed

    def __repr__(self) -> str:
        size = f"{self.image.width}×{self.image.height}"
        return f"<SegmentedImage {self.image.name}, {size} pixels, {len(self.cells)} cells>"

    @cached_property
    def labels(self) -> npt.NDArray[np.int32]:
        """(H, W) int32, the number of the cell at each pixel; 0 is background."""
        labels = np.zeros((self.image.height, self.image.width), np.int32)
        for cell in self.cells:
            h, w = cell.bitmap.shape
            labels[cell.top : cell.top + h, cell.left : cell.left + w][cell.bitmap] = cell.number
        return labels

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a cell; :mod:`cellseg_mm.inference.results.measurements` has the columns."""
        columns = table_columns(self.image.classes)
        table = pd.DataFrame([cell.row for cell in self.cells], columns=list(columns))
        types = {name: object if kind is str else kind for name, kind in columns.items()}
        return table.astype(types)

    @property
    def counts(self) -> Counter[str]:
        """Number of cells of each class, also of those without any."""
        return self._counted().by_class

    def summary(self, analysed_pixels: float | None = None) -> dict[str, str | int | float]:
        """Counts and cells per mm²; see :meth:`CellCounts.summary`."""
        return self._counted().summary(analysed_pixels)

    def overlay(self) -> npt.NDArray[np.uint8]:
        """The image with the outlines of its cells in the colours of their classes.

        Returns:
            (H, W, 3) uint8, RGB; smaller if the image's longer side exceeds 4,000 pixels.
        """
        overlay = Overlay(self.image)
        overlay.add(self._batch)
        return overlay.picture()

    def geojson(self) -> dict[str, Any]:
        """The cells as a GeoJSON ``FeatureCollection`` for QuPath."""
        features = [cell_feature(cell, self.image) for cell in self.cells]
        return {"type": "FeatureCollection", "features": features}

    def save(self, folder: str | Path, formats: Sequence[str] = DEFAULT_FORMATS) -> None:
        """Write files, named after the image.

        Args:
            folder: Where; made if absent.
            formats: Names out of :data:`cellseg_mm.inference.results.formats.FORMATS`.

        Raises:
            UserError: A format is not known.
        """
        write_results([self._batch], Path(folder), self.image, formats)

    @property
    def _batch(self) -> ResultCells:
        return ResultCells(self.cells, self.image.height)

    def _counted(self) -> CellCounts:
        counts = CellCounts(self.image)
        counts.add(self._batch)
        return counts
