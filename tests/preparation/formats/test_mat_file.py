from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from cellseg_mm.preparation.formats.mat_file import read_mat
from cellseg_mm.preparation.problems import BadFileError


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_keep_their_types(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    arrays = {"ids": np.arange(6, dtype=np.int32).reshape(2, 3), "kinds": np.zeros((0, 1))}
    savemat(path, {**arrays, "text": "not read"}, do_compression=compressed)
    read = read_mat(path, ("ids", "kinds"))
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_version_73_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    # Bytes 124 to 127 of a header: version 2.0, little-endian.
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 9)
    with pytest.raises(BadFileError, match=r"7\.3.*-v7"):
        read_mat(path, ("ids",))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1}, "ids is struct"),
        (np.array([1, "a"], object), "ids is cell"),
        (np.zeros((2, 2, 2)), "of shape (2, 2, 2)"),
    ],
)
def test_other_kinds(tmp_path: Path, value: object, words: str) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"ids": value})
    with pytest.raises(BadFileError) as caught:
        read_mat(path, ("ids",))
    assert words in str(caught.value)


def test_a_header_that_states_a_huge_array(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"ids": np.zeros((3, 5), np.int32)})
    data = path.read_bytes()
    shape = np.array([3, 5], "<i4").tobytes()
    assert data.count(shape) == 1
    path.write_bytes(data.replace(shape, np.array([50_000, 50_000], "<i4").tobytes()))
    with pytest.raises(BadFileError, match="50000"):
        read_mat(path, ("ids",))
