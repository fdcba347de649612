"""The cells of a job, laid out as the page asks for them, and read from the disk.

A folder with ``points.bin`` (16 bytes a cell), ``polygons.bin`` (outlines, square by square),
``polygons.npy`` (where each square begins), ``details.jsonl`` (a line a cell) and ``details.npy``
(where each line begins). docs/serve.md has the layout of the first two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.serve.request_error import RequestError

POLYGON_TILE = 1024
"""Side of the squares by which outlines are asked for, pixels."""

POINT = np.dtype(
    [("id", "<u4"), ("x", "<f4"), ("y", "<f4"), ("class", "u1"), ("score", "u1"), ("radius", "<u2")]
)
"""A cell of ``points.bin``; the radius is that of a circle of the cell's area, in tenths."""

OUTLINE_HEAD = np.dtype([("id", "<u4"), ("class", "u1"), ("score", "u1"), ("corners", "<u2")])
"""What comes before the corners of an outline in ``polygons.bin``, which are x and y as f32."""

_PROBABILITY = "probability_"


class CellIndex:
    """The cells of a job.

    Args:
        folder: What :func:`~cellseg_mm.serve.cell_index_writer.write_index` wrote.

    Attributes:
        points: (N,) of ``POINT``, by rising ids from 1; on the disk.
        classes: Number of cells of each class, in the order of the points' classes.
        colours: `#rrggbb` of each class.
        min_score: Least score of a cell; None without any.
        points_file: Where ``points`` lie.
    """

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.classes: dict[str, int] = about["classes"]
        self.colours: list[str] = about["colours"]
        self.min_score: float | None = about["min_score"]
        self.source: Any = about["source"]
        self._columns: int = about["columns"]
        self._rows: int = about["rows"]
        self.points_file = folder / "points.bin"
        self._polygons, self._details = folder / "polygons.bin", folder / "details.jsonl"
        # An empty file cannot be mapped.
        empty = np.zeros(0, POINT)
        cells = self.points_file.stat().st_size // POINT.itemsize
        self.points: npt.NDArray[Any] = np.memmap(self.points_file, POINT, "r") if cells else empty
        self._squares = np.load(folder / "polygons.npy")
        self._lines = np.load(folder / "details.npy", mmap_mode="r" if cells else None)

    def __len__(self) -> int:
        return len(self.points)

    def polygons(self, column: int, row: int) -> bytes:
        """Outlines of the cells whose centre lies in a square of the grid.

        Raises:
            RequestError: The image has no such square.
        """
        if not (0 <= column < self._columns and 0 <= row < self._rows):
            raise RequestError(404, f"There is no square {column}, {row} in this image.")
        square = row * self._columns + column
        start, stop = self._squares[square : square + 2].tolist()
        return _slice(self._polygons, start, stop)

    def outlines(self) -> list[npt.NDArray[np.float32]]:
        """The outline of each cell, (N, 2) x and y, in the order of ids."""
        content = self._polygons.read_bytes()
        found: list[npt.NDArray[np.float32]] = [np.zeros((0, 2), np.float32)] * len(self)
        place = 0
        while place < len(content):
            head = np.frombuffer(content, OUTLINE_HEAD, 1, place)[0]
            place += OUTLINE_HEAD.itemsize
            corners = int(head["corners"])
            found[int(head["id"]) - 1] = np.frombuffer(content, "<f4", 2 * corners, place).reshape(
                -1, 2
            )
            place += 8 * corners
        return found

    def details(self, number: int) -> dict[str, Any]:
        """All that is known of a cell.

        Raises:
            RequestError: There is no such cell.
        """
        if not 1 <= number <= len(self):
            raise RequestError(404, f"There is no cell {number}: the job has {len(self)}.")
        start, stop = self._lines[number - 1 : number + 1].tolist()
        told: dict[str, Any] = json.loads(_slice(self._details, start, stop))
        probabilities = {
            name.removeprefix(_PROBABILITY): told.pop(name)
            for name in list(told)
            if name.startswith(_PROBABILITY)
        }
        return {**told, "probabilities": probabilities}

    def shown(self, min_score: float) -> npt.NDArray[np.bool_]:
        """Which cells have at least a score, in the 255 steps of ``points.bin``."""
        chosen: npt.NDArray[np.bool_] = self.points["score"] >= round(255 * min_score)
        return chosen


def _slice(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)
