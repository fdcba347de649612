"""MkDocs hooks: text that is written for the repository, made ready for the site."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name files outside docs/ instead of linking to them: the site does not hold them."""
    return re.sub(r"\[([^]]+)\]\((?:\.\./)+([^)]+)\)", r"\1 (`\2`)", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show the roles of docstrings, such as ``:meth:`segment```, as plain code."""
    html = re.sub(r":\w+:<code>~[\w.]*?(\w+)</code>", r"<code>\1</code>", html)
    return re.sub(r":(?:attr|class|data|func|meth|mod):<code>", "<code>", html)
