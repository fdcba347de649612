"""Which image is next, and which was tried often enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellseg_mm.errors import UserError
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.executors.image_queue import ImageQueue

A, B = (NamedImage(Path(f"{name}.png"), Path(name)) for name in "ab")


def test_an_image_whose_worker_was_lost_is_tried_three_times_in_all() -> None:
    queue = ImageQueue([A, B])
    assert queue.take() == (A, False)
    assert queue.lose(A, "of x") is None
    assert queue.take() == (B, False)
    assert queue.take() == (A, True)
    assert queue.lose(A, "of y") is None
    assert queue.take() == (A, True)
    outcome = queue.lose(A, "of z")
    assert outcome is not None
    assert outcome.found is None
    assert outcome.error == "3 workers were lost at it, the last one since of z."
    assert queue.take() is None


def test_an_image_that_no_worker_began_is_not_blamed() -> None:
    queue = ImageQueue([A])
    for _ in range(2):
        queue.take()
        queue.give_back(A)
        queue.fail_start("of x")
    assert queue.take() == (A, False)
    queue.started()
    for _ in range(2):
        queue.fail_start("of x")
    with pytest.raises(UserError, match="3 workers in a row"):
        queue.fail_start("of x")
