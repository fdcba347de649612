"""The cells of a job, laid out as the page asks for them; made once, then read from the disk.

A folder with ``points.bin`` (16 bytes a cell), ``polygons.bin`` (outlines, square by square),
``polygons.npy`` (where each square begins), ``details.jsonl`` (a line a cell) and ``details.npy``
(where each line begins). docs/serve.md has the layout of the first two.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.files.whole_folder import whole_folder
from cellseg_mm.serve.geojson_cells import DrawnCell, area_and_centroid
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.structures.palette import class_colour

POLYGON_TILE = 1024
"""Side of the squares by which outlines are asked for, pixels."""

POINT = np.dtype(
    [("id", "<u4"), ("x", "<f4"), ("y", "<f4"), ("class", "u1"), ("score", "u1"), ("radius", "<u2")]
)
"""A cell of ``points.bin``; the radius is that of a circle of the cell's area, in tenths."""

_HEAD = np.dtype([("id", "<u4"), ("class", "u1"), ("score", "u1"), ("corners", "<u2")])
_MOST_CORNERS = 0xFFFF
_PROBABILITY = "probability_"
_MOST_CLASSES = 255


class CellIndex:
    """The cells of a job.

    Args:
        folder: What :func:`write_index` wrote.

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
            head = np.frombuffer(content, _HEAD, 1, place)[0]
            place += _HEAD.itemsize
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
        found: dict[str, Any] = json.loads(_slice(self._details, start, stop))
        return found

    def shown(self, min_score: float) -> npt.NDArray[np.bool_]:
        """Which cells have at least a score, in the 255 steps of ``points.bin``."""
        chosen: npt.NDArray[np.bool_] = self.points["score"] >= round(255 * min_score)
        return chosen


def write_index(
    folder: Path,
    cells: Iterable[DrawnCell],
    classes: Mapping[str, str],
    size: tuple[int, int],
    mpp: tuple[float, float] | None,
    source: Any = None,
) -> None:
    """Lay cells out in a folder that appears whole or not at all.

    Args:
        folder: Absent or empty.
        cells: The cells by rising ids, which count from 1.
        classes: Colours of the classes that are known beforehand, by name; others follow them.
        size: Width and height of the image, pixels.
        mpp: µm per pixel in x and y.
        source: What tells whether the index is of the same file, as JSON.

    Raises:
        UserError: The cells cannot be read, or have too many classes.
    """
    with whole_folder(folder) as new:
        writer = _Writer(dict(classes), size, mpp)
        with (
            (new / "points.bin").open("wb") as points,
            (new / "unsorted.bin").open("wb") as polygons,
            (new / "details.jsonl").open("wb") as details,
        ):
            for cell in cells:
                writer.add(cell, points, polygons, details)
        squares = writer.sort_polygons(new / "unsorted.bin", new / "polygons.bin")
        (new / "unsorted.bin").unlink()
        np.save(new / "polygons.npy", squares)
        np.save(new / "details.npy", np.array(writer.lines, np.int64))
        (new / "index.json").write_text(json.dumps(writer.about(source)), encoding="utf-8")


class _Writer:
    def __init__(
        self,
        colours: dict[str, str],
        size: tuple[int, int],
        mpp: tuple[float, float] | None,
    ) -> None:
        self._colours = colours
        self._labels = {name: index for index, name in enumerate(colours)}
        self._counts = [0] * len(colours)
        self._columns, self._rows = (math.ceil(side / POLYGON_TILE) for side in size)
        self._mpp = mpp
        self._square_of, self._begins = array("q"), array("q", [0])
        self._min_score: float | None = None
        self.lines = array("q", [0])

    def add(
        self, cell: DrawnCell, points: IO[bytes], polygons: IO[bytes], details: IO[bytes]
    ) -> None:
        number, label = len(self.lines), self._label(cell)
        area, x, y = area_and_centroid(cell.rings)
        score = float(cell.measurements.get("score", 1.0))
        level = round(255 * min(max(score, 0.0), 1.0))
        radius = min(round(10 * math.sqrt(area / math.pi)), 0xFFFF)
        points.write(np.array([(number, x, y, label, level, radius)], POINT).tobytes())

        outline = cell.rings[0][:: len(cell.rings[0]) // _MOST_CORNERS + 1]
        head = np.array([(number, label, level, len(outline))], _HEAD).tobytes()
        body = outline.astype("<f4").tobytes()
        polygons.write(head + body)
        column = min(max(int(x // POLYGON_TILE), 0), self._columns - 1)
        row = min(max(int(y // POLYGON_TILE), 0), self._rows - 1)
        self._square_of.append(row * self._columns + column)
        self._begins.append(self._begins[-1] + len(head) + len(body))

        known = self._details(cell, number, score, area, x, y)
        line = json.dumps(known, separators=(",", ":")).encode() + b"\n"
        details.write(line)
        self.lines.append(self.lines[-1] + len(line))
        self._counts[label] += 1
        self._min_score = score if self._min_score is None else min(score, self._min_score)

    def sort_polygons(self, unsorted: Path, target: Path) -> npt.NDArray[np.int64]:
        """Bring outlines into the order of squares; returns where each square begins, and ends."""
        squares = np.array(self._square_of, np.int64)
        begins = np.array(self._begins, np.int64)
        lengths = np.diff(begins)
        order = np.argsort(squares, kind="stable")
        with target.open("wb") as file:
            if len(order):
                content = np.memmap(unsorted, np.uint8, "r")
                for cell in order.tolist():
                    file.write(content[begins[cell] : begins[cell + 1]].tobytes())
        bytes_of = np.bincount(squares, lengths, self._columns * self._rows).astype(np.int64)
        return np.concatenate([[0], np.cumsum(bytes_of)])

    def about(self, source: Any) -> dict[str, Any]:
        return {
            "classes": dict(zip(self._colours, self._counts, strict=True)),
            "colours": list(self._colours.values()),
            "min_score": self._min_score,
            "columns": self._columns,
            "rows": self._rows,
            "source": source,
        }

    def _label(self, cell: DrawnCell) -> int:
        if cell.name not in self._labels:
            if len(self._labels) == _MOST_CLASSES:
                raise RequestError(400, f"The cells have more than {_MOST_CLASSES} classes.")
            self._labels[cell.name] = len(self._labels)
            self._colours[cell.name] = cell.colour or class_colour(len(self._counts))
            self._counts.append(0)
        return self._labels[cell.name]

    def _details(
        self, cell: DrawnCell, number: int, score: float, area: float, x: float, y: float
    ) -> dict[str, Any]:
        given = cell.measurements
        probabilities = {
            name.removeprefix(_PROBABILITY): value
            for name, value in given.items()
            if name.startswith(_PROBABILITY)
        }
        known: dict[str, Any] = {"id": number, "class": cell.name, "score": score}
        known |= {"probabilities": probabilities, "x_px": round(x, 3), "y_px": round(y, 3)}
        known["area_px"] = round(area, 3)
        if self._mpp is not None:
            known["area_um2"] = round(area * self._mpp[0] * self._mpp[1], 4)
        rest = {k: v for k, v in given.items() if k not in known and not k.startswith(_PROBABILITY)}
        return {**known, **rest, **({"area_um2": given["area_um2"]} if "area_um2" in given else {})}


def _slice(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)
