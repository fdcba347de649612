"""A NumPy file of many images, read one image at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.problems import BadFileError, reading

_LARGEST_IMAGE = 1 << 28
"""Bytes of one image of a stack: far beyond any data set."""


class NpyStack:
    """An array of a `.npy` file; only its header is read until an image is asked for.

    The file is not mapped to memory: pages that were looked at would count as the process's own.

    Args:
        path: The file.
        shape: What the shape must be, with None for any length.

    Raises:
        BadFileError: Not a `.npy` file, of another shape, not numbers, or cut short.
    """

    def __init__(self, path: Path, shape: Sequence[int | None]) -> None:
        self.path = path
        with reading(path, "not a .npy file", "download it again"):
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read_header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                self.shape, fortran_order, self._dtype = read_header(file)
                self._start = file.tell()
            size = path.stat().st_size
        fits = len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(shape, self.shape, strict=True)
        )
        self._bytes = math.prod(self.shape[1:]) * self._dtype.itemsize
        if fortran_order:
            raise BadFileError(
                path, "its array is in Fortran's order", "save it with numpy.ascontiguousarray"
            )
        if not fits or self._bytes > _LARGEST_IMAGE:
            form = " × ".join("N" if n is None else str(n) for n in shape)
            raise BadFileError(
                path, f"it holds an array of shape {self.shape}, not {form}", "take the original"
            )
        if self._dtype.kind not in "buif":
            raise BadFileError(
                path, f"it holds values of type {self._dtype}, not numbers", "take the original"
            )
        if self._start + len(self) * self._bytes > size:
            raise BadFileError(path, "the file is cut short", "download it again")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int) -> npt.NDArray:
        """Image `index` of the stack.

        Raises:
            BadFileError: The file has changed.
        """
        with self.path.open("rb") as file:
            file.seek(self._start + index * self._bytes)
            data = file.read(self._bytes)
        if len(data) != self._bytes:
            raise BadFileError(self.path, "the file is cut short", "download it again")
        return np.frombuffer(data, self._dtype).reshape(self.shape[1:])


def rgb_of(path: Path, pixels: npt.NDArray) -> npt.NDArray[np.uint8]:
    """Pixels of a stack, of whatever type, as 8 bits.

    Raises:
        BadFileError: They are not whole numbers from 0 to 255.
    """
    if pixels.dtype == np.uint8:
        return pixels
    with np.errstate(invalid="ignore"):  # NaN is found below
        values = pixels.astype(np.uint8)
    if not np.array_equal(values, pixels):
        raise BadFileError(
            path, "an image holds other values than 0 to 255", "take the original file"
        )
    return values
