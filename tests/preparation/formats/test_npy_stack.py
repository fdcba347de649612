from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation.formats.npy_stack import NpyStack, rgb_of
from cellseg_mm.preparation.problems import BadFileError


@pytest.mark.parametrize("dtype", ["<f8", ">u2", "bool", "u1"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_images_are_those_of_numpy(tmp_path: Path, dtype: str, version: tuple[int, int]) -> None:
    path = tmp_path / "a.npy"
    array = np.random.default_rng(0).integers(0, 2, (5, 3, 4, 2)).astype(dtype)
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version)
    stack = NpyStack(path, (None, 3, None, 2))
    assert len(stack) == 5
    for index in range(5):
        np.testing.assert_array_equal(stack[index], np.load(path)[index])


def test_an_empty_stack(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 3, 4, 2)))
    assert len(NpyStack(tmp_path / "a.npy", (None, 3, 4, 2))) == 0


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4)), "not N × 3 × 4 × 2"),
        (np.zeros((2, 3, 5, 2)), "not N × 3 × 4 × 2"),
        (np.asfortranarray(np.zeros((2, 3, 4, 2))), "Fortran's order"),
        (np.full((2, 3, 4, 2), "a"), "not numbers"),
    ],
)
def test_other_arrays(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(BadFileError) as caught:
        NpyStack(tmp_path / "a.npy", (None, 3, 4, 2))
    assert words in str(caught.value)


def test_a_header_that_states_huge_images(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1, 10**6, 10**6, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(BadFileError, match="1000000"):
        NpyStack(path, (None, None, None, 3))


def test_pixels_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    pixels = rgb_of(path, np.array([0.0, 255.0, 17.0]))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [0, 255, 17]
    for value in (256, -1, 0.5, np.nan):
        with pytest.raises(BadFileError, match="0 to 255"):
            rgb_of(path, np.array([value]))
