"""Reading raw TIFF files: the header is checked before a single pixel is decoded."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_mm.preparation.problems import BadFileError, reading

# tifffile logs what it finds in damaged headers, line by line; the error below says it in one.
logging.getLogger("tifffile").addFilter(lambda record: record.levelno >= logging.CRITICAL)

LARGEST_SIDE = 20_000
"""Pixels. A header that states more is taken for damaged or hostile."""

_COLOUR = (
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.MINISBLACK,  # what some writers state for any number of channels
)


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read a raw image as it lies in the file.

    Args:
        path: An 8-bit RGB or RGBA TIFF with one page.

    Returns:
        (H, W, 3) or (H, W, 4) uint8, channels in the file's order.

    Raises:
        BadFileError: The file is not such a TIFF, or is damaged.
    """
    with _checked_page(path) as page:
        shape, axes = page.shape, page.axes
        what = None
        if axes not in ("YXS", "SYX") or page.samplesperpixel not in (3, 4):
            what = f"the image has shape {shape}, not three or four channels"
        elif page.photometric not in _COLOUR:
            colours = getattr(page.photometric, "name", page.photometric)
            what = f"its colours are {colours}, not RGB"
        elif page.dtype != np.uint8:
            what = f"the image holds {page.dtype} values, not 8 bits a channel"
        if what:
            raise BadFileError(path, what, "convert it to RGB or RGBA with 8 bits a channel")
        pixels = _decode(path, page)
    return np.moveaxis(pixels, 0, -1) if axes == "SYX" else pixels


def image_size(path: Path) -> tuple[int, int]:
    """Read (height, width) from an image's header, without decoding.

    Raises:
        BadFileError: The file is not a TIFF, or its size is not sane.
    """
    with _checked_page(path) as page:
        return page.imagelength, page.imagewidth


def read_mask(path: Path, size: tuple[int, int] | None) -> tuple[npt.NDArray[np.integer], np.dtype]:
    """Read a class file: a label map whose values are instance ids, 0 = background.

    Args:
        path: A 2-D TIFF of any integer or floating type with integral values ≥ 0.
        size: (height, width) of the image, which the mask must have; None if that is unknown.

    Returns:
        ids: (H, W) unsigned integers.
        dtype: The type in the file.

    Raises:
        BadFileError: The file is damaged, of another size, or holds values that are not ids.
    """
    with _checked_page(path) as page:
        if page.axes != "YX":
            raise BadFileError(
                path,
                f"the mask has shape {page.shape}, not one value a pixel",
                "write the instance ids as one 2-D page",
            )
        if size is not None and page.shape != size:
            raise BadFileError(
                path,
                f"the mask is {_times(page.shape)} pixels (height × width), its image "
                f"{_times(size)}",
                "write the mask at the image's size",
            )
        if page.dtype is None or page.dtype.kind not in "buif":
            raise BadFileError(
                path,
                f"the mask holds {page.dtype} values",
                "write the instance ids as integers",
            )
        values = _decode(path, page)
    return _as_ids(path, values), values.dtype


def _as_ids(path: Path, values: npt.NDArray) -> npt.NDArray[np.integer]:
    kind = values.dtype.kind
    if kind == "f":
        _refuse(path, ~np.isfinite(values), values, "NaN or infinite")
    if kind in "if":
        _refuse(path, values < 0, values, "negative")
    if kind == "f":
        _refuse(path, values != np.floor(values), values, "fractional")
        # Beyond this, neighbouring integers are the same number, and neighbouring cells one cell.
        _refuse(path, values > 2 ** (np.finfo(values.dtype).nmant + 1), values, "too large")
    if kind == "u":
        return values
    largest = values.max(initial=0)
    return values.astype(np.uint32 if largest <= np.iinfo(np.uint32).max else np.uint64)


def _refuse(path: Path, bad: npt.NDArray[np.bool_], values: npt.NDArray, fault: str) -> None:
    count = int(np.count_nonzero(bad))
    if count:
        row, column = np.unravel_index(int(bad.argmax()), bad.shape)
        raise BadFileError(
            path,
            f"{count} pixels hold a {fault} id, the first {values[row, column]} at row {row}, "
            f"column {column}",
            "write instance ids as whole numbers, with 0 for background",
        )


@contextmanager
def _checked_page(path: Path) -> Iterator[tifffile.TiffPage]:
    """Open a TIFF and give its only page, after checks that need the header alone."""
    if not path.is_file():
        raise BadFileError(path, "this file does not exist", "add it")
    with reading(path, "not a TIFF file", "copy or write it again"):
        tif = tifffile.TiffFile(path)
    with tif:
        with reading(path, "its TIFF header is damaged", "copy or write it again"):
            page, pages = tif.pages.first, len(tif.pages)
            # A damaged tag may hold something else than one number.
            height, width = int(page.imagelength), int(page.imagewidth)
            depth = int(page.imagedepth)
            offsets, counts = page.dataoffsets, list(map(int, page.databytecounts))
            segments = math.prod(page.chunked)
            end = max((o + c for o, c in zip(offsets, counts, strict=True)), default=0)
        if pages != 1 or depth != 1:
            raise BadFileError(
                path, f"it holds {max(pages, depth)} pages", "write one page to a file"
            )
        if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
            raise BadFileError(
                path,
                f"its header states {height} × {width} pixels (height × width)",
                f"cut it into images of at most {LARGEST_SIDE} pixels a side, or write it again",
            )
        # tifffile fills absent strips with zeros: a broken file would turn into background.
        if len(counts) != segments or min(counts) <= 0 or end > tif.filehandle.size:
            raise BadFileError(path, "the file is truncated", "copy or write it again")
        yield page


def _decode(path: Path, page: tifffile.TiffPage) -> npt.NDArray:
    with reading(path, "its pixels cannot be decoded", "copy or write it again"):
        pixels = page.asarray()
    if pixels.shape != page.shape:
        raise BadFileError(path, "it holds too few pixels", "copy or write it again")
    return pixels


def _times(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))
