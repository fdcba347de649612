"""The table of the cells as CSV and as Parquet: the same columns and values."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.results.measurements import table_columns
from cellseg_mm.inference.results.result_cell import ResultCells, Row
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.result_sink import ResultSink

_ROW_GROUP = 16_384
"""Rows that Parquet compresses together."""

_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}


@contextmanager
def csv_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write the table as CSV, UTF-8; what is not known is left empty."""
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as f:
        writer = csv.DictWriter(f, list(table_columns(image.classes)), lineterminator="\n")
        writer.writeheader()
        yield _CsvRows(writer)


class _CsvRows:
    def __init__(self, writer: csv.DictWriter[str]) -> None:
        self._writer = writer

    def add(self, batch: ResultCells) -> None:
        for cell in batch.cells:
            self._writer.writerow(
                {k: "" if isinstance(v, float) and isnan(v) else v for k, v in cell.row.items()}
            )


@contextmanager
def parquet_file(path: Path, image: ResultImage) -> Iterator[ResultSink]:
    """Write the table as Parquet; what is not known is NaN."""
    columns = table_columns(image.classes)
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    with atomic_write(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
        rows = _ParquetRows(writer, schema)
        yield rows
        rows.flush()


class _ParquetRows:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: list[Row] = []

    def add(self, batch: ResultCells) -> None:
        for cell in batch.cells:
            self._waiting.append(cell.row)
            if len(self._waiting) == _ROW_GROUP:
                self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, self._schema))
            self._waiting = []
