"""One look for all figures, as files and inside the page, where they follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellseg_mm.structures import palette

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": palette.MUTED,
    "axes.labelcolor": palette.INK,
    "axes.titlecolor": palette.INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": palette.RULE,
    "grid.linewidth": 0.6,
    "text.color": palette.INK,
    "xtick.color": palette.MUTED,
    "ytick.color": palette.MUTED,
    "xtick.labelcolor": palette.INK,
    "ytick.labelcolor": palette.INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": palette.PAPER,
    "savefig.facecolor": palette.PAPER,
    "text.parse_math": False,  # a class may be called "CD3$+$"
    "svg.fonttype": "none",  # text stays text: to be selected, read aloud and coloured
    "svg.hashsalt": "cellseg-mm",  # the same figure is the same file
}
THEME = {
    getattr(palette, name): f"--{name.lower()}"
    for name in (
        *("INK", "MUTED", "RULE", "PAPER"),
        *("BLUE", "VERMILION", "GREEN", "PURPLE", "ORANGE", "SKY"),
    )
}
"""Colours of figures that the page replaces, by its CSS variable."""

_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)')
_COLOUR = re.compile("|".join(THEME))


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the report's look."""
    with rc_context(_STYLE):
        yield


def new_figure(width: float = 4.3, height: float = 2.9) -> tuple[Figure, Axes]:
    """A figure of one panel; sizes in inches. To be called within :func:`figure_style`."""
    # A figure of its own, without pyplot, which would keep global state.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write each figure as `<name>.png` and `<name>.svg` into an existing folder."""
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=160)
        # No date: the same figure is the same file.
        figure.savefig(folder / f"{name}.svg", dpi=160, metadata={"Date": None})


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """A figure as an `<svg>` element for the page.

    Its ids get the name as a prefix, so that those of two figures do not clash. Its colours become
    the page's CSS variables, which differ in light and dark.

    Args:
        figure: The figure.
        name: Unique in the page; letters, digits, `_` and `-`.
        description: What it shows, for those who do not see it; without markup.
    """
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator"))
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _REFERENCE.sub(lambda match: f"{match[1]}{name}-", svg)
    svg = _COLOUR.sub(lambda match: f"var({THEME[match[0]]})", svg)
    # Width and height in points would keep the figure from shrinking on a phone.
    head, separator, body = svg.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{description}"{separator}{body}'
