"""The words and numbers of the analysis figures, and their form inside the page."""

import re

import numpy as np

from cellseg_mm.reporting.analysis_figures import bin_label, shares_of_truth
from cellseg_mm.reporting.figure_style import (
    THEME,
    figure_style,
    inline_svg,
    new_figure,
    write_figures,
)
from cellseg_mm.structures.palette import BLUE


def test_bin_labels_name_whole_numbers():
    assert bin_label(0.0, 256.0) == "0–255"
    assert bin_label(0.0, 1.0) == "0"
    assert bin_label(1024.0, float("inf")) == "1,024 and more"


def test_shares_of_truth():
    shares = shares_of_truth(np.array([[3, 1], [0, 0]]))

    assert shares.tolist() == [[0.75, 0.25], [0, 0]]


def draw():
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], color=BLUE, label="a")
    axes.set_ylim(0, 0.5)  # clips
    axes.set_title("Title")
    return figure


def test_inline_figures_follow_the_page():
    with figure_style():
        svg = inline_svg(draw(), "first", "A line")
        other = inline_svg(draw(), "second", "A line")

    head = svg[: svg.index(">")]
    assert 'role="img" aria-label="A line"' in head
    assert "viewBox" in head
    assert not re.search(r' (width|height)="', head)
    assert "var(--blue)" in svg
    assert "var(--ink)" in svg
    assert not any(colour in svg for colour in THEME)
    ids, others = (set(re.findall(r'\bid="([^"]+)"', s)) for s in (svg, other))
    assert ids
    assert not ids & others
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= ids
    assert ">Title<" in svg


def test_files_of_a_figure(tmp_path):
    with figure_style():
        write_figures({"line": draw()}, tmp_path)

    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "line.svg").read_text()
    assert BLUE in text
    assert "var(" not in text
