"""Where finished cells go: a file, a picture, a count."""

from __future__ import annotations

from typing import Protocol

from cellseg_mm.inference.results.result_cell import ResultCells


class ResultSink(Protocol):
    """Takes the cells of an image as they are finished."""

    def add(self, batch: ResultCells) -> None:
        """Take the next cells. The last batch is final down to the image's last row."""
