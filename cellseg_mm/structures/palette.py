"""The colours of pictures, figures, reports and exported files."""

from __future__ import annotations

CLASS_COLOURS = (
    *("#e6553c", "#2882dc", "#dc9a00", "#46aa5a"),
    *("#9b59b6", "#17a2a2", "#a0643c", "#d8589f"),
)
"""Of the classes in their order; used again from the start if there are more."""

INK, MUTED, RULE, PAPER = "#1f2328", "#656d76", "#d1d7de", "#fefefe"
"""Of figures: text, axes, grid, ground."""

BLUE, VERMILION, GREEN = "#0b68a8", "#c4531a", "#0f8a66"
PURPLE, ORANGE, SKY = "#8b4a9c", "#b97a00", "#4b9fd1"
"""Of lines in figures."""


def class_colour(index: int) -> str:
    """Colour of a class by its index."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def class_palette(count: int) -> list[tuple[int, int, int]]:
    """Red, green and blue, 0 to 255, of the first classes."""
    return [rgb(class_colour(index)) for index in range(count)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
