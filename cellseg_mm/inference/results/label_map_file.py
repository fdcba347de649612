"""The label map as a pyramidal OME-TIFF, which QuPath, Fiji and napari open with its scale."""

from __future__ import annotations

import math
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.result_cell import ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink
from cellseg_mm.inference.results.sparse_canvas import TILE, SparseCanvas, UIntArray

_SMALLEST_LEVEL = 1024
"""Levels are halved until their longer side is at most this, pixels."""

_CLASSIC_BYTES = 2**32 - 2**25
"""What a TIFF can hold that is no BigTIFF, with room for its directories."""

_IDS = uuid.UUID("0c5a1b1e-3c7e-5d51-8f53-2b0c94a6d4e2")


@contextmanager
def label_map_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write a label map: uint32, in tiles, zlib; the value of a cell is its number.

    A level has every other pixel of the one before. A TIFF holds one level after the other, while
    all of them grow with the rows of the image, so compressed tiles wait in unnamed files. Memory
    is that of the rows which are not final.
    """
    with atomic_write(path) as unfinished:
        # Beside the target: the folder for temporary files may be small.
        levels = [
            _Level(width, height, tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115
            for width, height in _level_sizes(image)
        ]
        try:
            yield _LabelMap(image, levels)
            _write_tiff(unfinished, image, levels)
        finally:
            for level in levels:
                level.close()


class _LabelMap:
    """Paints cells, and hands rows of tiles on that are final."""

    def __init__(self, image: ResultImage, levels: list[_Level]) -> None:
        self._canvas = SparseCanvas()
        self._height = image.height
        self._levels = levels
        self._done = 0

    def add(self, batch: ResultCells) -> None:
        for cell in batch.cells:
            self._canvas.paint(cell.left, cell.top, cell.bitmap, cell.number)
        final = batch.final_rows >= self._height
        while self._done * TILE < self._height and (
            final or (self._done + 1) * TILE <= batch.final_rows
        ):
            tiles = self._canvas.take_row(self._done)
            self._done += 1
            for level in self._levels:
                reduced = level.add(tiles)
                if reduced is None:
                    break
                tiles = reduced


class _Level:
    """Compressed tiles of one level, row by row."""

    def __init__(self, width: int, height: int, file: IO[bytes]) -> None:
        self.width, self.height = width, height
        self._columns, self._rows = math.ceil(width / TILE), math.ceil(height / TILE)
        self._file = file
        self._sizes: list[int] = []
        self._upper: dict[int, UIntArray] | None = None
        self._added = 0

    def add(self, tiles: dict[int, UIntArray]) -> dict[int, UIntArray] | None:
        """Take a row of tiles, those with cells by column.

        Returns:
            A row of the next level, if this row completes one.
        """
        for column in range(self._columns):
            tile = tiles.get(column)
            data = _EMPTY_TILE if tile is None else zlib.compress(tile.astype("<u4").data, 6)
            self._file.write(data)
            self._sizes.append(len(data))
        self._added += 1
        if self._upper is None and self._added < self._rows:
            self._upper = tiles
            return None
        upper, lower = (tiles, {}) if self._upper is None else (self._upper, tiles)
        self._upper = None
        return _halved(upper, lower)

    def tiles(self) -> Iterator[bytes]:
        """All tiles, by rows."""
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)

    @property
    def stored_bytes(self) -> int:
        return sum(self._sizes)

    def close(self) -> None:
        self._file.close()


_EMPTY_TILE = zlib.compress(bytes(4 * TILE * TILE), 6)


def _halved(upper: dict[int, UIntArray], lower: dict[int, UIntArray]) -> dict[int, UIntArray]:
    """Every other pixel of two rows of tiles, as one row."""
    half = TILE // 2
    row: dict[int, UIntArray] = {}
    for y, tiles in ((0, upper), (half, lower)):
        for column, tile in tiles.items():
            target = row.setdefault(column // 2, np.zeros((TILE, TILE), np.uint32))
            x = column % 2 * half
            target[y : y + half, x : x + half] = tile[::2, ::2]
    return row


def _level_sizes(image: ResultImage) -> list[tuple[int, int]]:
    sizes = [(image.width, image.height)]
    while max(sizes[-1]) > _SMALLEST_LEVEL:
        width, height = sizes[-1]
        sizes.append(((width + 1) // 2, (height + 1) // 2))
    return sizes


def _write_tiff(path: Path, image: ResultImage, levels: list[_Level]) -> None:
    size = sum(level.stored_bytes for level in levels)
    metadata: dict[str, Any] = {
        "axes": "YX",
        "Name": f"{image.name} labels",
        "UUID": f"urn:uuid:{uuid.uuid5(_IDS, image.name)}",
    }
    scale: dict[str, Any] = {}
    if image.mpp is not None:
        for axis, mpp in zip("XY", image.mpp, strict=True):
            metadata |= {f"PhysicalSize{axis}": mpp, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=size > _CLASSIC_BYTES) as tiff:
        for number, level in enumerate(levels):
            if image.mpp is not None:
                per_centimetre = [1e4 / (mpp * 2**number) for mpp in image.mpp]
                scale = {"resolution": per_centimetre, "resolutionunit": "CENTIMETER"}
            tiff.write(
                level.tiles(),
                shape=(level.height, level.width),
                dtype="<u4",
                photometric="minisblack",
                tile=(TILE, TILE),
                compression="zlib",
                subifds=len(levels) - 1 if number == 0 else None,
                subfiletype=0 if number == 0 else 1,
                metadata=metadata if number == 0 else None,
                maxworkers=1,  # more would read tiles ahead of their need
                **scale,
            )
