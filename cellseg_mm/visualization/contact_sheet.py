"""One self-contained HTML page of pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from cellseg_mm.files.atomic_write import atomic_write

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1500px;
         padding: 0 1rem; color: #1e1e1e; background: #fff; }}
  h1 {{ font-size: 1.4rem; margin: 0 0 .25rem; }}
  p {{ margin: 0 0 1.5rem; color: #555; }}
  figure {{ margin: 0 0 2rem; }}
  img {{ max-width: 100%; height: auto; display: block; border: 1px solid #ddd; }}
  figcaption {{ font-size: .95rem; margin-bottom: .4rem; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
<main>
{figures}
</main>
</body>
</html>
"""


def write_contact_sheet(
    path: Path, title: str, subtitle: str, figures: Sequence[tuple[str, bytes]]
) -> None:
    """Write a page that opens without a network, whole or not at all.

    Args:
        path: HTML file to write; folders are made.
        title: Heading.
        subtitle: A line below it.
        figures: Caption and JPEG bytes of each picture.
    """
    parts = []
    for number, (caption, picture) in enumerate(figures, start=1):
        text = html.escape(caption)
        data = base64.b64encode(picture).decode("ascii")
        parts.append(
            f"<figure><figcaption>{number}. {text}</figcaption>"
            f'<img alt="{text}" src="data:image/jpeg;base64,{data}"></figure>'
        )
    page = _PAGE.format(
        title=html.escape(title), subtitle=html.escape(subtitle), figures="\n".join(parts)
    )
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
