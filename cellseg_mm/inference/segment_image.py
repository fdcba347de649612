"""From an image of any size to the files of its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cellseg_mm.inference.readers.image_reader import ImageReader
from cellseg_mm.inference.results.cell_counts import CellCounts
from cellseg_mm.inference.results.formats import result_cells
from cellseg_mm.inference.results.geojson_file import geojson_file
from cellseg_mm.inference.results.label_map_file import label_map_file
from cellseg_mm.inference.results.result_image import ResultImage
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
        cells_file: GeoJSON to write, see :func:`geojson_file`.
        labels_file: TIFF to write, see :func:`label_map_file`.
        tile: Side of a tile, pixels.
        overlap: Pixels that neighbouring tiles share at least.
        min_score: Cells below it are left out, once cells on seams have been brought together.

    Returns:
        Number of cells of each class.

    Raises:
        ValueError: The overlap does not fit the tile, or the image is damaged.
    """
    result = ResultImage(cells_file.stem, image, classes, image.mpp)
    batches = (
        FoundCells([cell for cell in cells if cell.score >= min_score], final_rows)
        for cells, final_rows in stream_tiled(
            image.read, image.height, image.width, predict, tile, overlap
        )
    )
    counts = CellCounts(result)
    with geojson_file(cells_file, result) as outlines, label_map_file(labels_file, result) as map_:
        for batch in result_cells(batches, result):
            for sink in (counts, outlines, map_):
                sink.add(batch)
    return counts.by_class
