"""Small pieces of HTML, escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from cellseg_mm.analysis.errors.bootstrap import Interval


def number(value: float, digits: int = 3) -> str:
    """A number as text, a dash where it is undefined."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def interval_text(interval: Interval, digits: int = 3) -> str:
    """The ends of an interval as text; empty where there is none."""
    if math.isnan(interval.low):
        return ""
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def whisker(interval: Interval) -> str:
    """A number from 0 to 1 as a dot on a line, with its interval; empty where it is undefined."""
    if math.isnan(interval.value):
        return ""

    def x(value: float) -> str:
        return f"{4 + 92 * min(max(value, 0.0), 1.0):.1f}"

    bar = ""
    if not math.isnan(interval.low):
        bar = f'<line x1="{x(interval.low)}" x2="{x(interval.high)}" y1="6" y2="6"/>'
    return (
        '<svg class="whisker" viewBox="0 0 100 12" aria-hidden="true">'
        f'<line class="axis" x1="4" x2="96" y1="6" y2="6"/>{bar}'
        f'<circle cx="{x(interval.value)}" cy="6" r="3"/></svg>'
    )


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = ""
) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: Text.
        head: Column titles, text.
        rows: Cells: text for the first of a row, HTML for the others; one that starts with "<td" is
            taken as it is.
        css_class: Of the table.
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>'
        for row in rows
    )
    thead = f"<thead><tr>{titles}</tr></thead>" if head else ""
    return scrolling(caption, f'<table class="{css_class}">{thead}<tbody>{body}</tbody></table>')


def scrolling(label: str, content: str) -> str:
    """Something wide that scrolls by itself, below a line that does not."""
    return (
        f'<p class="caption">{escape(label)}</p>'
        f'<div class="scroll" role="region" aria-label="{escape(label)}">{content}</div>'
    )


def facts(caption: str, values: dict[str, str]) -> str:
    """Names with values, as a table without a head."""
    return table(caption, (), [(k, escape(v)) for k, v in values.items()], "facts")


def paragraph(text: str, css_class: str = "note") -> str:
    """A paragraph of text."""
    return f'<p class="{css_class}">{escape(text)}</p>'


def figure(svg: str, caption: str = "") -> str:
    """A figure; the SVG is taken as it is."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{below}</figure>"


def _cell(content: str) -> str:
    return content if content.startswith("<td") else f"<td>{content}</td>"
