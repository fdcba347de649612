"""What the table says of a cell: place, shape, stain and class.

- ``id``, ``class``, ``score``: the value in the label map, the class, the model's confidence;
- ``x_px``, ``y_px``, ``x_um``, ``y_um``: centroid; the centre of the first pixel is (0.5, 0.5);
- ``area_px``, ``area_um2``: number of pixels, and that times the area of a pixel;
- ``perimeter_px``, ``perimeter_um``: of the line through the centres of the outermost pixels
  (scikit-image's ``perimeter``);
- ``major_axis_px``, ``minor_axis_px``, ``major_axis_um``, ``minor_axis_um``, ``eccentricity``: of
  the ellipse with the same second moments;
- ``solidity``: area over that of the convex hull, both along the edges of pixels;
- ``haematoxylin_od``, ``eosin_od``: mean optical density of the stain, see :func:`stain_density`;
- ``probability_<class>``: of each class.

Micrometres are NaN where the scale is unknown. Where it differs along x and y, lengths are measured
in pixels and multiplied by the geometric mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import nan, sqrt

import cv2
import numpy as np
import numpy.typing as npt

from cellseg_mm.inference.results.polygon import polygon
from cellseg_mm.inference.results.result_cell import ResultCell, ResultCells, Row
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.visualization.outlines import outline

_BLOCK = 512
"""Pixels of the image are read for the cells of one such square together."""

_MOST = 4096
"""Cells that are measured before they are handed on; a row of tiles of a slide has many more."""

_STEP_LENGTHS = np.zeros(50)
"""Length of the outline at a pixel of it, by the sum of the outline's pixels around: 1 for itself,
2 for each beside it, 10 for each across a corner. As in scikit-image, after Benkrid et al., *Design
and FPGA implementation of a perimeter estimator* (2000)."""
_STEP_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_STEP_LENGTHS[[21, 33]] = sqrt(2)
_STEP_LENGTHS[[13, 23]] = (1 + sqrt(2)) / 2

_DENSITY = -np.log10(np.maximum(np.arange(256), 1) / 255)
_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.07, 0.99, 0.11])


def _unmixing() -> npt.NDArray[np.float64]:
    stains = np.stack([_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    return np.linalg.inv(stains)[:, :2]


_UNMIXING = _unmixing()


def table_columns(classes: Sequence[str]) -> dict[str, type]:
    """The columns of the table in their order, and what they hold: ``int``, ``float``, ``str``."""
    lengths = ["x_px", "y_px", "x_um", "y_um", "area_px", "area_um2", "perimeter_px"]
    lengths += ["perimeter_um", "major_axis_px", "minor_axis_px", "major_axis_um", "minor_axis_um"]
    other = ["eccentricity", "solidity", "haematoxylin_od", "eosin_od"]
    floats = [*lengths, *other, *(f"probability_{name}" for name in classes)]
    columns = {"id": int, "class": str, "score": float, **dict.fromkeys(floats, float)}
    return {**columns, "area_px": int}


def measure_cells(batches: Iterable[FoundCells], image: ResultImage) -> Iterator[ResultCells]:
    """Number cells and measure them.

    Args:
        batches: What :func:`~cellseg_mm.inference.results.unique_cells.unique_cells` gives.
        image: The image. Its pixels are read in squares around the cells, in the order of their
            rows.
    """
    count = 0
    for cells, final_rows in batches:
        for start in range(0, max(len(cells), 1), _MOST):
            some, following = cells[start : start + _MOST], cells[start + _MOST : start + _MOST + 1]
            measured = [
                measure_cell(number, cell, stain, image)
                for number, (cell, stain) in enumerate(
                    zip(some, _stains(some, image.source), strict=True), start=count + 1
                )
            ]
            count += len(some)
            yield ResultCells(measured, min([final_rows, *(cell.top for cell in following)]))


def measure_cell(
    number: int, cell: DetectedCell, stain: tuple[float, float], image: ResultImage
) -> ResultCell:
    """Make a cell of the results.

    Args:
        number: The cell's value in the label map.
        cell: The cell, with a probability for each class.
        stain: Its haematoxylin and eosin.
        image: The image.
    """
    mpp_x, mpp_y = image.mpp or (nan, nan)
    mpp = sqrt(mpp_x * mpp_y)
    moments = cv2.moments(cell.bitmap.view(np.uint8), binaryImage=True)
    area = int(moments["m00"])
    x = moments["m10"] / area + cell.left + 0.5
    y = moments["m01"] / area + cell.top + 0.5
    var_x, var_y, mixed = (moments[name] / area for name in ("mu20", "mu02", "mu11"))
    spread = sqrt((var_x - var_y) ** 2 / 4 + mixed * mixed)
    large = (var_x + var_y) / 2 + spread
    small = max(large - 2 * spread, 0.0)
    major, minor = 4 * sqrt(large), 4 * sqrt(small)
    around = _perimeter(cell.bitmap)
    rings = polygon(cell.bitmap, cell.left, cell.top)
    row: Row = {
        "id": number,
        "class": image.classes[cell.label],
        "score": round(cell.score, 4),
        "x_px": round(x, 2),
        "y_px": round(y, 2),
        "x_um": round(x * mpp_x, 3),
        "y_um": round(y * mpp_y, 3),
        "area_px": area,
        "area_um2": round(area * mpp_x * mpp_y, 3),
        "perimeter_px": round(around, 2),
        "perimeter_um": round(around * mpp, 3),
        "major_axis_px": round(major, 2),
        "minor_axis_px": round(minor, 2),
        "major_axis_um": round(major * mpp, 3),
        "minor_axis_um": round(minor * mpp, 3),
        "eccentricity": round(sqrt(1 - small / large), 4) if large > 0 else 0.0,
        "solidity": round(area / cv2.contourArea(cv2.convexHull(rings[0])), 4),
        "haematoxylin_od": round(stain[0], 4),
        "eosin_od": round(stain[1], 4),
        **{
            f"probability_{name}": round(value, 4)
            for name, value in zip(image.classes, cell.probabilities, strict=True)
        },
    }
    return ResultCell(number, cell.label, cell.left, cell.top, cell.bitmap, rings, row)


def stain_density(pixels: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Mean optical density of haematoxylin and eosin.

    With the stains' vectors of Ruifrok and Johnston, *Quantification of histochemical staining by
    color deconvolution* (2001), and what neither explains as a third one, at a right angle to both.
    White is 255, and black counts as 1.

    Args:
        pixels: (3, N) uint8, RGB.
    """
    haematoxylin, eosin = _DENSITY[pixels].mean(axis=1) @ _UNMIXING
    return float(haematoxylin), float(eosin)


def _stains(cells: Sequence[DetectedCell], source: ImageReader) -> list[tuple[float, float]]:
    blocks = defaultdict(list)
    for index, cell in enumerate(cells):
        blocks[cell.top // _BLOCK, cell.left // _BLOCK].append(index)
    stains = [(nan, nan)] * len(cells)
    for _, indices in sorted(blocks.items()):
        extents = np.array([cells[i].extent for i in indices])
        left, top = extents[:, :2].min(axis=0).tolist()
        right, bottom = extents[:, 2:].max(axis=0).tolist()
        region = source.read(left, top, right, bottom).numpy()
        for i in indices:
            x1, y1, x2, y2 = cells[i].extent
            window = region[:, y1 - top : y2 - top, x1 - left : x2 - left]
            stains[i] = stain_density(window[:, cells[i].bitmap])
    return stains


def _perimeter(bitmap: npt.NDArray[np.bool_]) -> float:
    height, width = bitmap.shape
    edge = np.zeros((height + 2, width + 2), np.uint8)
    edge[1:-1, 1:-1] = own = outline(bitmap)
    # Shifted sums: OpenCV's filter takes three times as long on images as small as these.
    beside = edge[1:-1, :-2] + edge[1:-1, 2:] + edge[:-2, 1:-1] + edge[2:, 1:-1]
    across = edge[:-2, :-2] + edge[:-2, 2:] + edge[2:, :-2] + edge[2:, 2:]
    return float(_STEP_LENGTHS[(1 + 2 * beside + 10 * across)[own]].sum())
