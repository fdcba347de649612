"""Making the index of a job's cells."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.files.whole_folder import whole_folder
from cellseg_mm.serve.cell_index import OUTLINE_HEAD, POINT, POLYGON_TILE
from cellseg_mm.serve.geojson_cells import DrawnCell
from cellseg_mm.serve.polygon_moments import areas_and_centroids
from cellseg_mm.serve.request_error import RequestError
from cellseg_mm.structures.palette import class_colour

_BATCH = 4096
_MOST_CLASSES = 255
_MOST_CORNERS = 0xFFFF
_ENCODER = json.JSONEncoder(separators=(",", ":"))


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
        writer = _Writer(classes, size, mpp)
        waiting = iter(cells)
        with (
            (new / "points.bin").open("wb") as points,
            (new / "unsorted.bin").open("wb") as outlines,
            (new / "details.jsonl").open("wb") as details,
        ):
            while batch := list(islice(waiting, _BATCH)):
                writer.add(batch, points, outlines, details)
        squares = writer.sort_outlines(new / "unsorted.bin", new / "polygons.bin")
        (new / "unsorted.bin").unlink()
        np.save(new / "polygons.npy", squares)
        np.save(new / "details.npy", np.array(writer.lines, np.int64))
        (new / "index.json").write_text(json.dumps(writer.about(source)), encoding="utf-8")


class _Writer:
    """Takes cells batch by batch, so that memory does not grow with their outlines.

    Attributes:
        lines: Where each line of the details begins, and the last one ends, bytes.
    """

    def __init__(
        self, classes: Mapping[str, str], size: tuple[int, int], mpp: tuple[float, float] | None
    ) -> None:
        self._colours = dict(classes)
        self._labels = {name: index for index, name in enumerate(classes)}
        self._counts = [0] * len(classes)
        self._columns, self._rows = (math.ceil(side / POLYGON_TILE) for side in size)
        self._mpp = mpp
        self._squares, self._begins = array("q"), array("q", [0])
        self._min_score: float | None = None
        self.lines = array("q", [0])

    def add(
        self, cells: list[DrawnCell], points: IO[bytes], outlines: IO[bytes], details: IO[bytes]
    ) -> None:
        """Write cells to the three files."""
        measured = areas_and_centroids(cells)
        area, x, y = measured.T
        scores = [float(cell.measurements.get("score", 1.0)) for cell in cells]
        table = np.zeros(len(cells), POINT)
        table["id"] = np.arange(len(self.lines), len(self.lines) + len(cells))
        table["x"], table["y"] = x, y
        table["class"] = [self._label(cell) for cell in cells]
        table["score"] = np.rint(255 * np.clip(scores, 0, 1))
        table["radius"] = np.minimum(np.rint(10 * np.sqrt(area / np.pi)), 0xFFFF)
        points.write(table.tobytes())
        self._add_outlines(cells, table, outlines)
        column = np.clip(x // POLYGON_TILE, 0, self._columns - 1).astype(np.int64)
        row = np.clip(y // POLYGON_TILE, 0, self._rows - 1).astype(np.int64)
        self._squares.extend((row * self._columns + column).tolist())
        for line in self._lines(cells, scores, measured):
            details.write(line)
            self.lines.append(self.lines[-1] + len(line))
        lowest = min(scores)
        self._min_score = lowest if self._min_score is None else min(lowest, self._min_score)

    def sort_outlines(self, unsorted: Path, target: Path) -> npt.NDArray[np.int64]:
        """Bring outlines into the order of squares.

        Returns:
            Where each square begins, and the last one ends, bytes.
        """
        squares, begins = (np.array(values, np.int64) for values in (self._squares, self._begins))
        order = np.argsort(squares, kind="stable")
        with target.open("wb") as file:
            if len(order):  # an empty file cannot be mapped
                content = np.memmap(unsorted, np.uint8, "r")
                for cell in order.tolist():
                    file.write(content[begins[cell] : begins[cell + 1]].data)
        sizes = np.bincount(squares, np.diff(begins), self._columns * self._rows)
        return np.concatenate([[0], np.cumsum(sizes.astype(np.int64))])

    def about(self, source: Any) -> dict[str, Any]:
        """What is known of all cells together."""
        return {
            "classes": dict(zip(self._colours, self._counts, strict=True)),
            "colours": list(self._colours.values()),
            "min_score": self._min_score,
            "columns": self._columns,
            "rows": self._rows,
            "source": source,
        }

    def _label(self, cell: DrawnCell) -> int:
        label = self._labels.get(cell.name)
        if label is None:
            label = len(self._labels)
            if label == _MOST_CLASSES:
                raise RequestError(400, f"The cells have more than {_MOST_CLASSES} classes.")
            self._labels[cell.name] = label
            self._colours[cell.name] = cell.colour or class_colour(label)
            self._counts.append(0)
        self._counts[label] += 1
        return label

    def _add_outlines(
        self, cells: list[DrawnCell], points: npt.NDArray[Any], file: IO[bytes]
    ) -> None:
        rings = [c.rings[0][:: len(c.rings[0]) // _MOST_CORNERS + 1] for c in cells]
        heads = np.zeros(len(cells), OUTLINE_HEAD)
        for name in ("id", "class", "score"):
            heads[name] = points[name]
        heads["corners"] = [len(ring) for ring in rings]
        begun = heads.tobytes()
        size = OUTLINE_HEAD.itemsize
        for index, ring in enumerate(rings):
            body = ring.astype("<f4").tobytes()
            file.write(begun[size * index : size * (index + 1)])
            file.write(body)
            self._begins.append(self._begins[-1] + size + len(body))

    def _lines(
        self, cells: list[DrawnCell], scores: list[float], measured: npt.NDArray[np.float64]
    ) -> Iterator[bytes]:
        pixel = None if self._mpp is None else self._mpp[0] * self._mpp[1]
        rows = zip(cells, scores, measured.round(3).tolist(), strict=True)
        for number, (cell, score, (area, x, y)) in enumerate(rows, start=len(self.lines)):
            told = {"id": number, "class": cell.name, "score": score}
            told |= {"x_px": x, "y_px": y, "area_px": area}
            if pixel is not None:
                told["area_um2"] = round(area * pixel, 4)
            told |= {k: v for k, v in cell.measurements.items() if k not in ("id", "score")}
            yield _ENCODER.encode(told).encode() + b"\n"
