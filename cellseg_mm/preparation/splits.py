"""Splits of the training images into training and validation, and the files that keep them.

A split file is JSON, made to be read, edited and kept::

    {
      "arguments": {"val_fraction": 0.05, "seed": 0, "group_regex": null},
      "folds": [{"train": ["name", …], "val": ["name", …]}]
    }

With k folds, `arguments` has `folds` in place of `val_fraction`, and the list has k entries, whose
`val` lists together hold every image once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_mm.errors import UserError
from cellseg_mm.preparation.problems import BadFileError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

# Weights of the search's cost, in units of "share of a class that is in the wrong part".
# That a class is in both parts is worth a validation part up to some 17 % of the images too large.
_IMAGE_WEIGHT = 3.0
_ABSENT_FROM_VALIDATION = 1.0
# A class that is never seen in training cannot be learnt at all.
_ABSENT_FROM_TRAINING = 10.0
_EMPTY_PART = 1e6

_RESTARTS = 4
_PROPOSALS_PER_GROUP = 20
_MOST_PROPOSALS = 4000


class SplitArguments(NamedTuple):
    """What determines a split, apart from the images.

    Attributes:
        val_fraction: Share of the images for validation; unused with folds.
        folds: Number of folds k, or None for a single split.
        seed: Seed of the search.
        group_regex: Expression that finds the patient in a name, None for the default.
    """

    val_fraction: float
    folds: int | None
    seed: int
    group_regex: str | None

    @property
    def file_name(self) -> str:
        """Name of the split file: different arguments, different file."""
        kind = f"{self.folds}-folds" if self.folds else f"val-{self.val_fraction:g}"
        name = f"{kind}_seed-{self.seed}"
        if self.group_regex is not None:
            name += f"_groups-{hashlib.sha256(self.group_regex.encode()).hexdigest()[:8]}"
        return f"{name}.json"

    def as_record(self) -> dict[str, object]:
        """The arguments as the split file holds them."""
        kind = {"folds": self.folds} if self.folds else {"val_fraction": self.val_fraction}
        return {**kind, "seed": self.seed, "group_regex": self.group_regex}


class Fold(NamedTuple):
    """Names of the images of a training and a validation part, sorted."""

    train: list[str]
    val: list[str]


def draw_folds(
    names: Sequence[str],
    groups: Sequence[str],
    class_counts: IntArray,
    arguments: SplitArguments,
) -> list[Fold]:
    """Split images so that groups stay whole and every part has its share of every class.

    No part is empty, except: with a single image, which goes to training, and with a validation
    fraction of 0. Where all images are one group, they are split image by image.

    Args:
        names: Names of the N ≥ 1 images.
        groups: Group of each image; a group is never divided.
        class_counts: (N, C) instances of each class in each image.
        arguments: How to split.

    Returns:
        k folds, or one.

    Raises:
        ValueError: There are fewer groups than folds.
    """
    parts = arguments.folds or 2
    if not arguments.folds and (len(names) == 1 or arguments.val_fraction == 0):
        return [Fold(sorted(names), [])]
    if len(set(groups)) == 1:
        groups = names
    group_names = sorted(set(groups))
    row_of_group = {group: row for row, group in enumerate(group_names)}
    group_of_image = [row_of_group[group] for group in groups]
    if len(group_names) < parts:
        raise UserError(
            f"{parts} folds need at least {parts} images or patients, but there are "
            f"{len(group_names)}: take fewer folds."
        )
    # One row a group; the last column counts images, so that it is balanced like a class.
    features: FloatArray = np.zeros((len(group_names), class_counts.shape[1] + 1))
    np.add.at(features, group_of_image, np.column_stack((class_counts, np.ones(len(names)))))
    if arguments.folds:
        shares = [1 / parts] * parts
    else:
        shares = [1 - arguments.val_fraction, arguments.val_fraction]
    part_of_group = _search(features, np.array(shares), bool(arguments.folds), arguments.seed)
    part = part_of_group[group_of_image]
    validation_parts = range(parts) if arguments.folds else [1]
    return [
        Fold(
            sorted(name for name, p in zip(names, part, strict=True) if p != chosen),
            sorted(name for name, p in zip(names, part, strict=True) if p == chosen),
        )
        for chosen in validation_parts
    ]


def _search(features: FloatArray, shares: FloatArray, all_validate: bool, seed: int) -> IntArray:
    """Assign groups to parts by seeded hill climbing with moves and swaps."""
    features = features[:, features.any(axis=0)]
    features = features / features.sum(axis=0)
    absent = np.full(len(shares), _ABSENT_FROM_VALIDATION)
    if not all_validate:
        absent[0] = _ABSENT_FROM_TRAINING
    weights = np.ones(features.shape[1])
    weights[-1] = _IMAGE_WEIGHT

    def cost(sums: FloatArray) -> float:
        missing = sums < 1e-12
        return float(
            (np.abs(sums - shares[:, None]) @ weights).sum()
            + (missing[:, :-1].sum(axis=1) * absent).sum()
            + missing[:, -1].sum() * _EMPTY_PART
        )

    rng = np.random.default_rng(seed)
    proposals = min(_PROPOSALS_PER_GROUP * len(features), _MOST_PROPOSALS)
    best: IntArray = np.zeros(len(features), np.int64)
    best_cost = np.inf
    for _ in range(_RESTARTS):
        part = _deal(features[:, -1], shares, rng)
        sums = np.zeros((len(shares), features.shape[1]))
        np.add.at(sums, part, features)
        current = cost(sums)
        for _ in range(proposals):
            a, b = rng.integers(len(features), size=2)
            source, target = part[a], part[b]
            swap = rng.random() < 0.5
            if not swap:
                target = rng.integers(len(shares))
            if source == target:
                continue
            change = features[a] - features[b] if swap else features[a]
            proposal = sums.copy()
            proposal[source] -= change
            proposal[target] += change
            if (proposed := cost(proposal)) < current - 1e-9:
                current, sums = proposed, proposal
                part[a] = target
                if swap:
                    part[b] = source
        if current < best_cost - 1e-9:
            best, best_cost = part.copy(), current
    return best


def _deal(sizes: FloatArray, shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Deal shuffled groups to the part that lacks most of its share of images."""
    part = np.zeros(len(sizes), np.int64)
    lacking = shares.copy()
    for group in rng.permutation(len(sizes)):
        part[group] = lacking.argmax()
        lacking[part[group]] -= sizes[group]
    return part


def write_split(path: Path, arguments: SplitArguments, folds: Sequence[Fold]) -> None:
    """Write a split file."""
    record = {"arguments": arguments.as_record(), "folds": [fold._asdict() for fold in folds]}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_split(path: Path, count: int | None, names: Sequence[str]) -> list[Fold]:
    """Read a split file and check that it splits exactly these images.

    Args:
        path: A file in the form of this module's docstring.
        count: How many folds are expected; None for any number.
        names: Names of all training images.

    Raises:
        BadFileError: The file is not a split of these images.
    """

    def fail(what: str) -> BadFileError:
        return BadFileError(path, what, "correct it, or move it away to have a new split drawn")

    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
        folds = [Fold(sorted(f["train"]), sorted(f["val"])) for f in record["folds"]]
        listed = [name for fold in folds for part in fold for name in part]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise fail(f"it is not a readable split file ({error!r})") from error
    if not all(isinstance(name, str) for name in listed):
        raise fail("it lists names that are not text")
    if len(folds) != (count or len(folds) or 1):
        raise fail(f"it holds {len(folds)} folds, not {count or 1}")
    for number, fold in enumerate(folds):
        both = fold.train + fold.val
        if len(set(both)) < len(both):
            repeated = next(name for name in both if both.count(name) > 1)
            raise fail(f"fold {number} lists {repeated!r} twice")
        if not fold.train:
            raise fail(f"fold {number} has no training image")
        if unknown := sorted(set(both) - set(names)):
            raise fail(f"fold {number} lists {_some(unknown)}, which the raw folder has not")
        if absent := sorted(set(names) - set(both)):
            raise fail(f"fold {number} lacks {_some(absent)}, which the raw folder has")
    return folds


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
