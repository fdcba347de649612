"""Damaged data sets of every format, for data_prep/convert.py."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stress.annotated_sets import make_sets
from stress.damaged_input import damage_file
from stress.tally import Tally
from stress.tool_process import run_tool

_IMAGES = ("images", "rgb", "Slide_", "Tissue Images", "tissue images", "tif_ROIs")


class DamagedSets:
    """Attacks with a damaged data set, one for each format.

    Args:
        folder: Folder of the sets, the copies and the tools' output.
        tally: Where to count.
    """

    def __init__(self, folder: Path, tally: Tally) -> None:
        self._sets = make_sets(folder / "sets")
        self._copy, self._out, self._tally = folder / "copy", folder / "out", tally

    def attacks(self) -> dict[str, Callable[[random.Random], None]]:
        """By format."""
        return {name: partial(self._attack, name) for name in self._sets}

    def _attack(self, name: str, rng: random.Random) -> None:
        for path in (self._copy, self._out):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._sets[name], self._copy)
        self._out.mkdir()
        self._damage(rng)
        arguments = [name, self._copy, self._out / "raw"]
        if name == "label-images":
            arguments += ["--cell-classes", self._copy / "classes.csv", "--default-class", "y"]
        outcome = run_tool("data_prep/convert.py", *arguments)
        done = self._tally.judge(f"damaged set: {name}", outcome)
        left = [path.name for path in self._out.iterdir() if path.name != "raw" or not done]
        if left:
            self._tally.fault("left behind", name, outcome, f"{left[0]} was left")

    def _damage(self, rng: random.Random) -> None:
        """One file, mostly an annotation; now and then two, or a file moved away."""
        files = sorted(path for path in self._copy.rglob("*") if path.is_file())
        pixels = [path for path in files if any(name in str(path) for name in _IMAGES)]
        annotations = [path for path in files if path not in pixels]
        for _ in range(rng.choice((1, 1, 1, 2))):
            path = rng.choice(annotations if annotations and rng.random() < 0.8 else files)
            if path.is_file():
                damage_file(path, rng)
        if rng.random() < 0.05:
            path = rng.choice(files)
            if path.exists():
                path.rename(path.with_name(rng.choice(("a\nb.png", "x.json", "ü" * 90))))
