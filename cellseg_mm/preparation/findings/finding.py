"""What a check found, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_PLACES = 12
"""Places that are kept of a finding."""


class Place(NamedTuple):
    """An image, or a place in one.

    Attributes:
        image: "part/name".
        box: xyxy, pixels, half-open; None is the whole image.
        cells: Numbers of the cells in question in the prepared planes.
        note: A few words for this place.
    """

    image: str
    box: tuple[int, int, int, int] | None = None
    cells: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """What deserves a look.

    Attributes:
        title: What the check looks for, a few words.
        sentence: What it found.
        places: Where, some of them.
    """

    title: str
    sentence: str
    places: tuple[Place, ...] = ()


def spread(places: Iterable[Place]) -> tuple[Place, ...]:
    """The places to keep: one of each image, then a second of each, and so on."""
    of_image: Counter[str] = Counter()
    turns = []
    for place in places:
        turns.append((of_image[place.image], place))
        of_image[place.image] += 1
    return tuple(place for _, place in sorted(turns, key=lambda turn: turn[0])[:MOST_PLACES])


def counted(number: int, noun: str) -> str:
    """A number with its noun in singular or plural."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def listed(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
