"""How many cells of each class an image has, and how densely they lie."""

from __future__ import annotations

from collections import Counter
from math import nan

from cellseg_mm.inference.results.result_cell import ResultCells
from cellseg_mm.inference.results.result_image import ResultImage


class CellCounts:
    """Counts the cells of an image.

    Attributes:
        by_class: Number of cells of each class, also of those without any.
    """

    def __init__(self, image: ResultImage) -> None:
        self._image = image
        self.by_class: Counter[str] = Counter(dict.fromkeys(image.classes, 0))

    def add(self, batch: ResultCells) -> None:
        """See :class:`~cellseg_mm.inference.results.result_sink.ResultSink`."""
        for cell in batch.cells:
            self.by_class[self._image.classes[cell.label]] += 1

    def summary(self, analysed_pixels: float | None = None) -> dict[str, str | int | float]:
        """One row for the image.

        Args:
            analysed_pixels: Area in which cells were looked for, pixels of the full image; the
                whole image if None.

        Returns:
            ``image``; ``analysed_mm2``; ``cells`` and ``cells_per_mm2``; the same for each class.
            NaN where the scale is unknown.
        """
        image = self._image
        pixels = image.width * image.height if analysed_pixels is None else analysed_pixels
        area = pixels * image.mpp[0] * image.mpp[1] / 1e6 if image.mpp else nan
        row: dict[str, str | int | float] = {"image": image.name, "analysed_mm2": round(area, 6)}
        for name, count in [("cells", self.by_class.total()), *self.by_class.items()]:
            row[name] = count
            row[f"{name}_per_mm2"] = round(count / area, 3) if area else nan
        return row
