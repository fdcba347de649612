"""COCO's compressed run-length strings, written and read with NumPy for many masks at once.

A mask in column-major order is a list of run lengths: background, foreground, background, …; the
first run is 0 where the first pixel is foreground. COCO stores each run from the fourth on as the
difference to the run two before it, in groups of five bits, lowest first: bit 5 of a character
says that another follows, bit 4 of the last one is the sign, and 48 is added to make it printable.
The format is the one of ``rleToString`` in pycocotools' ``maskApi.c``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError

_FIRST_CHARACTER = 48
_MAX_CHARACTERS = 7
"""A difference of two 32-bit run lengths needs 33 bits: seven groups of five."""

_SIGNED_LIMITS = 1 << (5 * np.arange(1, _MAX_CHARACTERS, dtype=np.int64) - 1)
"""Entry i is the first magnitude that i + 1 characters cannot hold beside the sign."""


def encode_many(run_values: npt.ArrayLike, run_offsets: npt.ArrayLike) -> list[str]:
    """Encode the runs of many masks in one pass.

    Args:
        run_values: (R,) integer run lengths of all masks, one mask after the other, each
            starting with its background run and each in [0, 2**32).
        run_offsets: (N + 1,) integers: the runs of mask i are those from entry i up to entry i + 1.

    Returns:
        N strings, the ``counts`` of COCO's RLE dicts; equal to pycocotools'.

    Raises:
        ValueError: A run is negative or too long, or the offsets do not cover the runs in order.
    """
    runs = np.asarray(run_values, np.int64)
    offsets = np.asarray(run_offsets, np.int64)
    lengths = np.diff(offsets)
    if not offsets.size or offsets[0] != 0 or offsets[-1] != runs.size or (lengths < 0).any():
        raise UserError(
            f"The offsets of the runs must rise from 0 to {runs.size}, the number of runs."
        )
    if not runs.size:
        return [""] * len(lengths)
    if runs.min() < 0 or runs.max() >> 32:
        raise UserError("A run length must lie between 0 and 2**32 - 1.")

    place = np.arange(runs.size) - np.repeat(offsets[:-1], lengths)
    values = runs.copy()
    late = np.flatnonzero(place > 2)
    values[late] -= runs[late - 2]

    # Two's complement: the complement of a negative number has the magnitude that must fit.
    magnitude = values ^ (values >> 63)
    sizes = 1 + np.searchsorted(_SIGNED_LIMITS, magnitude, side="right")
    starts = np.zeros(runs.size + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    text = np.empty(starts[-1], np.uint8)
    chosen = np.arange(runs.size)
    for group in range(int(sizes.max())):
        chosen = chosen[sizes[chosen] > group]
        more = sizes[chosen] > group + 1
        bits = (values[chosen] >> (5 * group)) & 0x1F
        text[starts[chosen] + group] = (bits | more << 5) + _FIRST_CHARACTER
    joined = text.tobytes().decode("ascii")
    bounds = starts[offsets].tolist()
    return [joined[a:b] for a, b in pairwise(bounds)]


def encode_counts(runs: npt.ArrayLike) -> str:
    """Encode the runs of one mask, (R,) integers; see :func:`encode_many`."""
    values = np.asarray(runs, np.int64)
    return encode_many(values, [0, values.size])[0]


def decode_many(
    counts: Sequence[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read the runs of many masks in one pass and check the strings; inverse of ``encode_many``.

    pycocotools trusts a string: a malformed one makes it read or write outside its buffers.

    Args:
        counts: N strings, the ``counts`` of COCO's RLE dicts.

    Returns:
        run_values: (R,) int64 run lengths ≥ 0 of all masks, one mask after the other.
        run_offsets: (N + 1,) int64: the runs of mask i are those from entry i up to entry i + 1.

    Raises:
        ValueError: A character is outside COCO's alphabet, a string ends within a run, or a run is
            negative or too long.
    """
    ends = np.cumsum([0, *map(len, counts)])
    try:
        raw = np.frombuffer("".join(counts).encode("ascii"), np.uint8).astype(np.int64)
    except UnicodeEncodeError:
        raise UserError("The counts hold a character outside COCO's alphabet.") from None
    raw -= _FIRST_CHARACTER
    if not raw.size:
        return np.zeros(0, np.int64), np.zeros(len(ends), np.int64)
    if raw.min() < 0 or raw.max() > 0x3F:
        raise UserError("The counts hold a character outside COCO's alphabet.")
    if (raw[ends[1:][np.diff(ends) > 0] - 1] >= 0x20).any():
        raise UserError("The counts end within a run.")
    last = np.flatnonzero(raw < 0x20)
    starts = np.concatenate([[0], last[:-1] + 1])
    sizes = last + 1 - starts
    if sizes.max() > _MAX_CHARACTERS:
        raise UserError("The counts hold a run of more than 32 bits.")
    group = np.arange(raw.size) - np.repeat(starts, sizes)
    runs = np.add.reduceat((raw & 0x1F) << (5 * group), starts)
    negative = (raw[last] & 0x10) != 0
    runs[negative] -= np.int64(1) << (5 * sizes[negative])

    offsets = np.searchsorted(last, ends)
    place = np.arange(runs.size) - np.repeat(offsets[:-1], np.diff(offsets))
    # Undo the differences, which start at the fourth run, for background and foreground apart: a
    # running sum over all masks, less what it was before each mask.
    for first in (1, 2):
        chosen = np.flatnonzero((place >= first) & (place % 2 == first % 2))
        sums = np.cumsum(runs[chosen])
        heads = np.flatnonzero(place[chosen] == first)
        before = sums[heads] - runs[chosen[heads]]
        runs[chosen] = sums - np.repeat(before, np.diff(heads, append=len(chosen)))
    if runs.min() < 0 or runs.max() >> 32:
        raise UserError("The counts hold a run that is negative or of more than 32 bits.")
    return runs, offsets


def decode_counts(counts: str) -> npt.NDArray[np.int64]:
    """Read the runs of one mask, (R,) int64; :func:`decode_many` is much faster for many."""
    return decode_many([counts])[0]
