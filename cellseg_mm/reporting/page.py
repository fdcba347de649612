"""The page around the sections: one HTML file that asks nothing of a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

# The browser itself refuses every request, whatever a later change adds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        anchor: Id in the page.
        title: Text of the heading and of the entry in the navigation.
        content: HTML.
    """

    anchor: str
    title: str
    content: str


def render_page(
    title: str, lead: str, sections: Sequence[Section], browser: dict[str, Any], footer: str
) -> str:
    """Put a page together.

    Args:
        title: Text.
        lead: Text below the title.
        sections: In order.
        browser: Data of the image browser.
        footer: Text.

    Returns:
        The HTML.
    """
    links = "".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in sections)
    body = "\n".join(
        f'<section id="{s.anchor}" aria-labelledby="{s.anchor}-title">'
        f'<h2 id="{s.anchor}-title">{escape(s.title)}</h2>\n{s.content}\n</section>'
        for s in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_asset("report.css")}</style>
</head>
<body>
<a class="skip" href="#{sections[0].anchor}">Skip to the results</a>
<header>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
</main>
<footer><p>{escape(footer)}</p></footer>
<script type="application/json" id="browser-data">{script_json(browser)}</script>
<script>
{_asset("scroll_regions.js")}{_asset("image_browser.js")}</script>
</body>
</html>
"""


def script_json(data: Any) -> str:
    """JSON that can stand inside a script element, whatever its strings hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c")


def _asset(name: str) -> str:
    return files("cellseg_mm.reporting").joinpath(name).read_text(encoding="utf-8")
