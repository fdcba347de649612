"""Numeric arrays of MATLAB files (version 5 to 7.2); nothing else in them is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy.typing as npt
from scipy.io import loadmat, whosmat

from cellseg_mm.preparation.problems import BadFileError, reading
from cellseg_mm.preparation.raw_reader import LARGEST_SIDE

_NUMERIC = {
    *("double", "single", "logical"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
_UNREADABLE = ("not a readable MATLAB file", "download it again")
_LARGEST_ARRAY = 1 << 28
"""Values: far beyond any data set; at 8 bytes, 2 GB."""


def read_mat(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray]:
    """Read 2-D arrays of a file.

    Args:
        path: The file.
        names: Names of the arrays.

    Returns:
        The arrays by name, with the types that they have in the file.

    Raises:
        BadFileError: Not such a file, damaged, or it lacks an array.
    """
    with reading(path, *_UNREADABLE):
        try:
            # The headers come first: a damaged one may state any size.
            found = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        except NotImplementedError as error:
            raise BadFileError(path, "it is a MATLAB 7.3 file", "save it with -v7") from error
    for name in names:
        if name not in found:
            holds = ", ".join(found) or "nothing"
            raise BadFileError(path, f"it lacks {name} and holds {holds}", "take the original file")
        shape, kind = found[name]
        if len(shape) != 2 or kind not in _NUMERIC:
            what = f"{name} is {kind} of shape {shape}, not a 2-D array of numbers"
            raise BadFileError(path, what, "take the original file")
        if min(shape) < 0 or min(shape) > LARGEST_SIDE or math.prod(shape) > _LARGEST_ARRAY:
            raise BadFileError(path, f"{name} has the shape {shape}", "take the original file")
    with reading(path, *_UNREADABLE):
        arrays = loadmat(path, variable_names=list(names))
        return {name: arrays[name] for name in names}
