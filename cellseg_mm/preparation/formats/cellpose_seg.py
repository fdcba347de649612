"""Cellpose's `_seg.npy`: a pickled dict of arrays, read without running what it says.

A pickle is a program. This reader knows the few calls that make NumPy's arrays, and answers each
with a stand-in of its own, so that a file can name nothing else and no code of NumPy sees its
numbers before they are checked. Python's own unpickler in Python is used: that in C may take any
memory that a damaged file asks for.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_mm.preparation.problems import BadFileError, reading

_LARGEST = 1 << 30


def read_seg_masks(path: Path) -> npt.NDArray:
    """Read the label map of a file.

    Args:
        path: A `_seg.npy` of Cellpose's program or of `cellpose.io.masks_flows_to_seg`.

    Returns:
        The array `masks`, of whatever shape and numeric type.

    Raises:
        BadFileError: It is no such file, or its pickle holds anything but arrays, numbers and text.
    """
    remedy = "save it again with Cellpose"
    with reading(path, "not a readable _seg.npy", remedy):
        if path.stat().st_size > _LARGEST:
            raise BadFileError(path, f"it is larger than {_LARGEST >> 20} MB", remedy)
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            headers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = headers[version](file)
            if shape != () or dtype != np.dtype(object):
                raise ValueError("its array is no dict")
            content = _Unpickler(io.BytesIO(file.read())).load()
        if isinstance(content, _Array):
            (content,) = content.values
        return content["masks"].array()


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def numeric(self) -> np.dtype:
        """The type, if it is one of numbers."""
        if not isinstance(self.name, str) or self.name[:1] not in tuple("buif"):
            raise ValueError(f"an array of {str(self.name)[:20]}")
        if self.order not in ("<", ">", "|", "="):
            raise ValueError("an array of no known byte order")
        return np.dtype(self.order + self.name)


class _Array:
    """Stands for `numpy.ndarray`."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype = _Dtype("")
        self.fortran = False
        self.values: Any = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.values = state

    def array(self) -> npt.NDArray:
        """The array, made of its bytes."""
        flat = np.frombuffer(self.values, self.dtype.numeric())
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(values: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    found = _Array()
    found.__setstate__((1, shape, dtype, order == "F", values))
    return found


def _scalar(*_: Any) -> None:
    """A number of NumPy's beside the masks, which is of no interest."""


def _encode(text: str, encoding: str) -> bytes:
    """How old pickles write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("bytes of an unknown encoding")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _KNOWN[f"{_core}.multiarray", "scalar"] = _scalar
    _KNOWN[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            UnpicklingError: There is none.
        """
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return _KNOWN[module, name]
