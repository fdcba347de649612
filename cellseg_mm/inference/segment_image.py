"""From an image of any size to the files of its cells."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from cellseg_mm.inference.cell_geojson import CellGeoJsonWriter
from cellseg_mm.inference.label_map_writer import write_label_map
from cellseg_mm.inference.readers.image_reader import ImageReader
from cellseg_mm.models.test_time.tiles import FoundCells, Predict, stream_tiled


def segment_image(
    image: ImageReader,
    predict: Predict,
    classes: Sequence[str],
    cells_file: Path,
    labels_file: Path,
    tile: int,
    overlap: int,
    min_score: float,
) -> Counter[str]:
    """Find the cells of an image and write them as they are found.

    Both files appear whole or not at all.

    Args:
        image: The image.
        predict: The model.
        classes: Names of the model's classes.
        cells_file: GeoJSON to write, see :mod:`cellseg_mm.inference.cell_geojson`.
        labels_file: TIFF to write, see :mod:`cellseg_mm.inference.label_map_writer`.
        tile: Side of a tile, pixels.
        overlap: Pixels that neighbouring tiles share at least.
        min_score: Cells below it are left out, once cells on seams have been brought together.

    Returns:
        Number of cells of each class.

    Raises:
        ValueError: The overlap does not fit the tile, or the image is damaged.
    """
    counts: Counter[str] = Counter()
    batches = stream_tiled(image.read, image.height, image.width, predict, tile, overlap)
    partial = [path.with_name(f".{path.name}.{os.getpid()}") for path in (cells_file, labels_file)]
    try:
        with partial[0].open("w", encoding="utf-8") as file:
            writer = CellGeoJsonWriter(file, classes)

            def recorded() -> Iterator[FoundCells]:
                for cells, final_rows in batches:
                    kept = [cell for cell in cells if cell.score >= min_score]
                    for cell in kept:
                        counts[classes[cell.label]] += 1
                        writer.write(counts.total(), cell)
                    yield FoundCells(kept, final_rows)

            write_label_map(partial[1], image.height, image.width, recorded())
            writer.close()
        for source, target in zip(partial, (cells_file, labels_file), strict=True):
            source.replace(target)
    finally:
        for source in partial:
            source.unlink(missing_ok=True)
    return counts
