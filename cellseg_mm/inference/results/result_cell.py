"""A cell of the results, with all that files and tables say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.inference.results.polygon import Ring

Row = dict[str, int | float | str]
"""Of the table: its columns and their values."""


@dataclass(frozen=True, eq=False)
class ResultCell:
    """A cell that shares no pixel with another one.

    Attributes:
        number: Its value in the label map and its id everywhere, from 1.
        label: Index of the class.
        left: Column of the mask's left edge in the image, pixels.
        top: Row of the mask's upper edge in the image, pixels.
        bitmap: (h, w) bool, the mask inside its extent: one piece of 4 neighbours.
        rings: The outline, and then the outlines of other cells inside it; see
            :func:`~cellseg_mm.inference.results.polygon.polygon`.
        row: Its row of the table, see :mod:`cellseg_mm.inference.results.measurements`.
    """

    number: int
    label: int
    left: int
    top: int
    bitmap: npt.NDArray[np.bool_]
    rings: list[Ring]
    row: Row


class ResultCells(NamedTuple):
    """What is settled next.

    Attributes:
        cells: By rising numbers.
        final_rows: No cell to come has a pixel in the image's first rows, of this number.
    """

    cells: list[ResultCell]
    final_rows: int
