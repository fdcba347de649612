"""Colours of the report: of classes, of kinds of error, and of figures in light and dark."""

from __future__ import annotations

from cellseg_mm.evaluation.error_kinds import ErrorKind

CLASS_COLOURS = (
    *("#e6553c", "#2882dc", "#dc9a00", "#46aa5a"),
    *("#9b59b6", "#17a2a2", "#a0643c", "#d8589f"),
)
"""Of the classes in their order; used again from the start if there are more."""

FOUND = "found"
"""What a prediction is that is not an error."""

KIND_COLOURS = {
    FOUND: "#3fbf56",
    str(ErrorKind.WRONG_CLASS): "#ff8a00",
    str(ErrorKind.POOR_OUTLINE): "#ffe14d",
    str(ErrorKind.DUPLICATE): "#8f6bff",
    str(ErrorKind.BACKGROUND): "#e8352b",
    str(ErrorKind.MISSED): "#00c8ff",
}
"""Bright: they lie on stained tissue, purple and pink."""

INK = "#1f2328"
MUTED = "#656d76"
RULE = "#d1d7de"
PAPER = "#fefefe"
BLUE = "#0b68a8"
VERMILION = "#c4531a"
GREEN = "#0f8a66"
PURPLE = "#8b4a9c"
ORANGE = "#b97a00"
SKY = "#4b9fd1"

THEME = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    BLUE: "--blue",
    VERMILION: "--vermilion",
    GREEN: "--green",
    PURPLE: "--purple",
    ORANGE: "--orange",
    SKY: "--sky",
}
"""Colours of figures that the page replaces, by its CSS variable."""


def class_colour(index: int) -> str:
    """Colour of a class by its index."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
