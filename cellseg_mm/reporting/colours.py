"""Colours of the report: of kinds of error, and of figures in light and dark."""

from __future__ import annotations

from cellseg_mm.analysis.errors.error_kinds import ErrorKind

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
