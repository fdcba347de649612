"""Cellpose's pickles: what NumPy wrote is read, and nothing that a pickle asks for is run."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation.formats.cellpose_seg import read_seg_masks
from cellseg_mm.preparation.problems import BadFileError

HEADER = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }"
HEADER = HEADER.ljust(127) + b"\n"


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def write(path: Path, record: object, protocol: int = 4) -> Path:
    array = np.array(None, object)
    array[()] = record
    path.write_bytes(HEADER + pickle.dumps(array, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<u2", ">i4", "u1", "<f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_pickle(tmp_path: Path, protocol: int, dtype: str, order: str) -> None:
    masks = np.asarray(np.arange(12).reshape(3, 4) % 5, dtype, order=order)
    record = {
        **{"filename": "ü.png", "masks": masks, "ismanual": np.array([True, False])},
        **{"flows": [np.ones((2, 3, 4), np.float32), [], None], "est_diam": np.float32(3)},
        "outlines": masks[::2],
    }
    found = read_seg_masks(write(tmp_path / "a_seg.npy", record, protocol))
    np.testing.assert_array_equal(found, masks)
    assert found.dtype == masks.dtype


def test_what_numpy_saves(tmp_path: Path) -> None:
    masks = np.arange(12, dtype=np.uint16).reshape(3, 4)
    np.save(tmp_path / "a_seg.npy", {"masks": masks})
    np.testing.assert_array_equal(read_seg_masks(tmp_path / "a_seg.npy"), masks)


MASKS = np.zeros((3, 4), np.uint8)
MARKER = "code-of-the-file-ran"


@pytest.mark.parametrize(
    "payload",
    [
        Call(exec, f"open({MARKER!r}, 'w')"),
        Call(eval, f"open({MARKER!r}, 'w')"),
        Call(open, MARKER, "w"),
        Call(getattr, 3, "real"),
        Call(np.load, "x.npy"),
        Call(np.memmap, MARKER, "u1", "w+", 0, (3,)),
        Call(np.fromfile, "x"),
        Call(__import__, "os"),
        Path("x"),
        np.random.default_rng(0),
    ],
    ids=lambda payload: str(payload.call[0].__name__ if isinstance(payload, Call) else payload)[:9],
)
@pytest.mark.parametrize("beside", [True, False])
def test_no_call_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: object, beside: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    record = {"masks": MASKS, "x": payload} if beside else {"masks": payload}
    with pytest.raises(BadFileError, match=r"it asks for \S+, which is not allowed"):
        read_seg_masks(write(tmp_path / "a_seg.npy", record))
    assert not Path(MARKER).exists()


def test_the_list_of_names_is_short() -> None:
    """Stand-ins of ours, whatever a pickle does with them: no function of NumPy's or Python's."""
    from cellseg_mm.preparation.formats import cellpose_seg

    known = cellpose_seg._KNOWN.values()
    assert {found.__module__ for found in known} == {cellpose_seg.__name__}


@pytest.mark.parametrize(
    "record",
    [
        {"masks": np.array(["x"])},
        {"masks": np.array([None])},
        {"masks": np.zeros(2, "u1,f4")},
        {"masks": np.zeros(2, "M8[s]")},
        {"masks": 3},
        {"other": MASKS},
        [MASKS],
        None,
    ],
)
def test_what_is_no_label_map(tmp_path: Path, record: object) -> None:
    with pytest.raises(BadFileError, match=r"not a readable _seg.npy"):
        read_seg_masks(write(tmp_path / "a_seg.npy", record))


def test_a_memo_of_gigabytes_is_not_made(tmp_path: Path) -> None:
    """LONG_BINPUT 2³¹ makes Python's unpickler in C take 32 GB."""
    path = tmp_path / "a_seg.npy"
    path.write_bytes(HEADER + b"\x80\x04Nr\xff\xff\xff\x7f.")
    with pytest.raises(BadFileError):
        read_seg_masks(path)


def test_damage_ends_in_a_sentence(tmp_path: Path) -> None:
    whole = write(tmp_path / "a_seg.npy", {"masks": MASKS, "filename": "x"}).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        path = tmp_path / "b_seg.npy"
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(BadFileError):
            read_seg_masks(path)
