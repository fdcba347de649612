from __future__ import annotations

import os

import pytest

from cellseg_mm.preparation.ordered_map import ordered_map


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order(workers):
    assert list(ordered_map(abs, range(-9, 0), workers, "test", show_progress=False)) == [
        9, 8, 7, 6, 5, 4, 3, 2, 1
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised(workers):
    with pytest.raises(ValueError, match="invalid literal"):
        list(ordered_map(int, ["1", "x", "3"], workers, "test", show_progress=False))


def test_nothing_to_do():
    assert list(ordered_map(abs, [], 4, "test", show_progress=False)) == []


def test_a_killed_process_is_told():
    # `os._exit` ends a process without a word, as the kernel does when memory runs out.
    with pytest.raises(OSError, match="use fewer workers"):
        list(ordered_map(os._exit, [1, 2], 2, "test", show_progress=False))
