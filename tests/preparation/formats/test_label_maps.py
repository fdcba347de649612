from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellseg_mm.preparation.formats.label_maps import (
    label_map_cells,
    majority_classes,
    whole_numbers,
)
from cellseg_mm.preparation.problems import BadFileError


def test_one_cell_for_each_id() -> None:
    labels = np.array([[9, 0, 9], [0, 4, 0]], np.uint32)
    first, second = label_map_cells(labels, {4: "a", 9: "b"})
    assert (first.class_name, second.class_name) == ("a", "b")
    assert (first.shape.top, first.shape.left) == (1, 1)
    assert first.shape.mask.tolist() == [[True]]
    assert (second.shape.top, second.shape.left) == (0, 0)
    assert second.shape.mask.tolist() == [[True, False, True]]
    assert label_map_cells(np.zeros((3, 3), np.uint32), "a") == []


def test_the_class_of_most_pixels() -> None:
    labels = np.array([[5, 5, 5, 8, 8, 2, 2, 0]])
    classes = np.array([[3, 3, 1, 2, 1, 0, 0, 2]])
    # 8 has one pixel of each: the lower one wins. 2 has none.
    assert majority_classes(labels, classes, 3) == {2: 0, 5: 3, 8: 1}
    # Background among the pixels has no vote.
    assert majority_classes(np.ones((1, 3), int), np.array([[0, 0, 2]]), 3) == {1: 2}


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, 0.5, 11])
def test_what_is_no_id(value: float) -> None:
    with pytest.raises(BadFileError, match="whole numbers from 0 to 10"):
        whole_numbers(Path("a"), "ids", np.array([[0, value]]), 10)


def test_ids_become_integers() -> None:
    assert whole_numbers(Path("a"), "ids", np.array([0.0, 10.0]), 10).tolist() == [0, 10]
    assert whole_numbers(Path("a"), "ids", np.array([True]), 10).dtype == np.uint32
    with pytest.raises(BadFileError, match="complex"):
        whole_numbers(Path("a"), "ids", np.array([1j]), 10)
