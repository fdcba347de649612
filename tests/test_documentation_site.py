"""The site of docs/ builds strictly, without network, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: who asks for something of the network fails."""


class Loads(HTMLParser):
    """What a page makes a browser fetch: everything but the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in ("src", "srcset", "data") or (tag, name) == ("link", "href")):
                self.addresses.append(value)
            if value and name == "style":
                self.addresses += style_loads(value)


def style_loads(text: str) -> list[str]:
    return re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", text)


def external(addresses: list[str]) -> list[str]:
    return [address for address in addresses if re.match(r"(https?:)?//", address)]


def test_what_counts_as_external() -> None:
    page = Loads()
    page.feed(
        '<a href="https://a"></a><script src="https://b"></script><link href="//c">'
        '<img src="d.png"><p style="background: url(https://e)"></p>'
    )
    assert external(page.addresses) == ["https://b", "//c", "https://e"]


def test_the_site_builds_strictly_and_stands_alone(tmp_path: Path) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, **proxies, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr

    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages.keys() == written | {"404"}
    for name, text in pages.items():
        page = Loads()
        page.feed(text)
        page.addresses += style_loads("".join(re.findall(r"<style>(.*?)</style>", text, re.S)))
        assert external(page.addresses) == [], name
        assert 'class="mermaid"' not in text, "the theme would load mermaid from elsewhere"
        for address in re.findall(r'<img[^>]* src="([^"]+)"', text):
            assert (tmp_path / address.removeprefix("/")).is_file(), address
    for sheet in tmp_path.rglob("*.css"):
        assert external(style_loads(sheet.read_text(encoding="utf-8"))) == [], sheet.name

    api = pages["api"]
    for name in ("CellSegmenter.segment", "CellSegmenter.segment_many"):
        assert f'id="cellseg_mm.inference.cell_segmenter.{name}"' in api
    assert 'id="cellseg_mm.inference.results.segmented_image.SegmentedImage.labels"' in api
    assert re.findall(r":(?:attr|class|data|func|meth|mod):", api) == []
