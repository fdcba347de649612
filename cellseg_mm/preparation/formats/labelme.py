"""labelme's JSON: a file for each image, with its pixels inside or beside it.

::

    a.json  a.jpg

A shape's `label` is its class. Polygons, rectangles (also turned ones), circles and masks are
cells; shapes of one label and one `group_id` are one cell in pieces. Points and lines are passed
over. Pixels are those of `imageData`, and where that is null, of the file that `imagePath` names.

https://github.com/wkentaro/labelme, versions 3 to 5.
"""

from __future__ import annotations

import base64
import io
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.PngImagePlugin import PngImageFile

from cellseg_mm.preparation.formats.annotated_image import (
    AnnotatedImage,
    Bitmap,
    Cell,
    Outline,
    PixelSource,
    ReadOptions,
)
from cellseg_mm.preparation.formats.image_files import ImageFiles, names_of
from cellseg_mm.preparation.formats.json_text import read_json_text
from cellseg_mm.preparation.formats.pixel_file import read_pixel_file
from cellseg_mm.preparation.formats.set_files import files_below
from cellseg_mm.preparation.problems import BadFileError, Problem

OPTIONS = ("images", "default_class")
_NO_AREA = {"point": "point", "points": "point", "line": "line", "linestrip": "line"}
_CORNERS_OF_CIRCLE = 256
_LARGEST_SIDE = 1 << 24
_SAVE_AGAIN = "save it again in labelme"

Record = dict[str, Any]


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage | Problem]:
    """Read saved annotations; see :mod:`~cellseg_mm.preparation.formats.registry`."""
    files = files_below(source, "*.json") if source.is_dir() else [source]
    images = ImageFiles(options.images or (source if source.is_dir() else source.parent))
    names = names_of(files)
    found = 0
    for path in files:
        try:
            content = read_json_text(path)
            if path == source or (isinstance(content, dict) and "shapes" in content):
                found += 1
                yield _read_one(names[path], path, content, images)
        except BadFileError as error:
            found += 1
            yield error.problem
    if not found:
        yield Problem(source, "it holds no JSON of labelme", "name the folder of its files")


def _read_one(name: str, path: Path, content: Any, images: ImageFiles) -> AnnotatedImage:
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        raise BadFileError(path, "it has no list 'shapes'", _SAVE_AGAIN)
    cells: list[Cell] = []
    pieces: dict[tuple[str, str], int] = {}
    passed_over: Counter[str] = Counter()
    for number, record in enumerate(shapes, start=1):
        try:
            kind = record.get("shape_type") or "polygon"
            if kind in _NO_AREA:
                passed_over[_NO_AREA[kind]] += 1
                continue
            label = record["label"].strip()
            cell = Cell(label or None, _shape(kind, record))
            group = record.get("group_id")
            place = pieces.setdefault((label, str(group)), len(cells))
            if group is None or place == len(cells):
                cells.append(cell)
            else:
                cells[place] = _united(cells[place], cell)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
            what = f"shape {number} is no outlined cell ({str(error)[:200]})"
            raise BadFileError(path, what, _SAVE_AGAIN) from error
    return AnnotatedImage(
        name=name,
        source=path,
        pixels=_pixels(path, content, images),
        cells=cells,
        size=_size(content),
        passed_over=passed_over,
    )


def _pixels(path: Path, content: Record, images: ImageFiles) -> PixelSource:
    data = content.get("imageData")
    if data is None:
        stated = content.get("imagePath")
        return images.of_path(stated if isinstance(stated, str) else path.stem, path)
    if not isinstance(data, str):
        raise BadFileError(path, "its imageData is no text", _SAVE_AGAIN)
    return partial(_embedded, path, data)


def _embedded(path: Path, data: str) -> npt.NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "image")
        try:
            file.write_bytes(base64.b64decode(data))
            return read_pixel_file(file)[0]
        except (ValueError, BadFileError) as error:
            reason = error.problem.what if isinstance(error, BadFileError) else str(error)
            what = f"its imageData is no image ({reason})"
            raise BadFileError(path, what, _SAVE_AGAIN) from error


def _size(content: Record) -> tuple[int, int] | None:
    size = content.get("imageHeight"), content.get("imageWidth")
    known = all(isinstance(side, int) and 0 < side < _LARGEST_SIDE for side in size)
    return size if known else None  # type: ignore[return-value]


def _shape(kind: str, record: Record) -> Outline | Bitmap:
    points = np.array(record["points"], np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("its points are no list of x, y")
    if kind == "mask":
        return _mask(points, record["mask"])
    if kind in ("rectangle", "circle") and len(points) == 2:
        (x1, y1), (x2, y2) = points.tolist()
        if kind == "rectangle":
            corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
            return Outline([[np.array(corners)]])
        radius = math.hypot(x2 - x1, y2 - y1)
        if not math.isfinite(radius):
            raise ValueError("its circle is larger than numbers go")
        angles = np.linspace(0, 2 * np.pi, _CORNERS_OF_CIRCLE, endpoint=False)
        around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return Outline([[points[0] + radius * around]])
    if kind not in ("polygon", "rectangle", "oriented_rectangle") or len(points) < 3:
        raise ValueError(f"it is a {kind:.40} of {len(points)} points")
    return Outline([[points]])


def _mask(points: npt.NDArray[np.float64], data: str) -> Bitmap:
    """A mask fills the pixels from its first point up to its second, that one included."""
    (left, top), (right, bottom) = points.astype(np.int64).tolist()
    size = right - left + 1, bottom - top + 1
    try:
        image = PngImageFile(io.BytesIO(base64.b64decode(data)))
        found, pixels = image.size, np.array(image.convert("L") if image.size == size else ())
    except Exception as error:  # Pillow has many, SyntaxError among them
        raise ValueError(f"its mask is no PNG: {error}") from error
    if found != size:
        raise ValueError(f"its mask has {found} pixels (width, height), its box {size}")
    return Bitmap(top, left, pixels > 0)


def _united(first: Cell, second: Cell) -> Cell:
    if isinstance(first.shape, Outline) and isinstance(second.shape, Outline):
        return Cell(first.class_name, Outline([*first.shape.polygons, *second.shape.polygons]))
    raise ValueError("a mask has the group_id of another shape: only polygons are put together")
