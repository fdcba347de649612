"""What the reader of every format yields: an image and its annotated cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.raw_layout import Part

Ring = npt.NDArray[np.float64]
"""(N, 2), x and y of the vertices in pixels; closed or not."""

FARTHEST = 1e9
"""Pixels, beyond every image; sums and differences are exact to a millionth of one there."""

PixelSource = Path | Callable[[], npt.NDArray[np.uint8]]
"""An image file of any kind that `readers` open, or what gives the pixels: (H, W, 3) uint8, RGB."""


class Outline(NamedTuple):
    """A cell as polygons; :mod:`.cell_masks` says which pixels it has.

    Attributes:
        polygons: The pieces of the cell; of each, the outer ring and then its holes. Pixel
            (column c, row r) is the square from (c, r) to (c + 1, r + 1).
    """

    polygons: Sequence[Sequence[Ring]]


class FilledRegion(NamedTuple):
    """A cell as MoNuSAC's own code fills it: `skimage.draw.polygon`, cut off at the image's border.

    Attributes:
        vertices: (N, 2), x and y; the centre of pixel (column c, row r) is (c, r).
    """

    vertices: Ring


class Bitmap(NamedTuple):
    """A cell as pixels.

    Attributes:
        top: Row of the bitmap's upper edge in the image, pixels; the bitmap may leave the image.
        left: Column of its left edge, pixels.
        mask: (h, w) bool.
    """

    top: int
    left: int
    mask: npt.NDArray[np.bool_]


class Runs(NamedTuple):
    """A cell as runs of pixels, counted column by column: (x, y) is x × image height + y.

    The image's size must be stated, as a run means nothing without it.

    Attributes:
        starts: (R,) int64, first pixel of each run, rising.
        ends: (R,) int64, the pixel after each run, which the next one does not come before.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class Cell(NamedTuple):
    """An annotated cell.

    Attributes:
        class_name: Its class as the file names it, without blanks around; None for one that belongs
            to no class: it gets the class that the user gives to such cells, or is left out, and
            its pixels count as background.
        shape: Where it lies.
    """

    class_name: str | None
    shape: Outline | FilledRegion | Bitmap | Runs


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its cells.

    Attributes:
        name: Its name in the raw layout, distinct in a data set.
        source: The file of the annotations, for messages.
        pixels: Where the pixels come from; a file is opened when the image is written.
        cells: The cells in the file's order: a later one lies over an earlier one of its class.
        size: (height, width) that the annotations state, to be compared with the image; or None.
        mpp: µm per pixel; None where it is not known. A file of pixels that tells it is asked, too.
        patient: Whose tissue it is; None where it is not known.
        part: "train" or "test".
        swapped: Red and blue are swapped in the file of pixels.
        passed_over: What the annotations hold beside cells, such as "point", and how often.
    """

    name: str
    source: Path
    pixels: PixelSource
    cells: Sequence[Cell]
    size: tuple[int, int] | None = None
    mpp: float | None = None
    patient: str | None = None
    part: Part = "train"
    swapped: bool = False
    passed_over: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadOptions:
    """What the user says beside the files. A format lists in `OPTIONS` the fields that it honours.

    Attributes:
        images: Folder of the images, where they do not lie beside the annotations.
        default_class: Class of cells that have none in the file.
        cell_classes: CSV file of label images' classes by id, or folder with one for each image.
        tif_order: Order of the colours in MoNuSAC's .tif files, "bgr" or "rgb".
    """

    images: Path | None = None
    default_class: str | None = None
    cell_classes: Path | None = None
    tif_order: str | None = None


def drawn_in(points: npt.ArrayLike) -> Ring:
    """Vertices as float64; those beyond ``FARTHEST`` are drawn in to it."""
    return np.clip(np.asarray(points, np.float64), -FARTHEST, FARTHEST)
