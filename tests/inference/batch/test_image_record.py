"""What is complete and unchanged is not done again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cellseg_mm.inference.batch.image_record import read_finished, write_record

ASKED = {"model": "abc", "options": {"formats": ("csv",), "min_score": None}}
NAME = Path("sub", "a.b")


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, Path]:
    image, out = tmp_path / "a.b.png", tmp_path / "out"
    image.write_bytes(b"pixels")
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "a.b.csv").write_text("id\n")
    write_record(out, NAME, image, ASKED, [out / "sub" / "a.b.csv"], {"cells": 3})
    assert (out / "sub" / "a.b_run.json").is_file()
    return image, out


def test_a_finished_image_is_known(done: tuple[Path, Path]) -> None:
    image, out = done
    assert read_finished(out, NAME, image, ASKED) == {"cells": 3}


@pytest.mark.parametrize("change", ["model", "options", "image", "output", "missing", "record"])
def test_whatever_changes_it_is_done_again(done: tuple[Path, Path], change: str) -> None:
    image, out = done
    asked: dict[str, Any] = dict(ASKED)
    if change in ASKED:
        asked[change] = "other"
    if change == "image":
        os.utime(image, ns=(1, 1))
    if change == "output":
        (out / "sub" / "a.b.csv").write_text("i")
    if change == "missing":
        (out / "sub" / "a.b.csv").unlink()
    if change == "record":
        (out / "sub" / "a.b_run.json").write_text("[1]")
    assert read_finished(out, NAME, image, asked) is None
