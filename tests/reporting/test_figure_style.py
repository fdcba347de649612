"""Figures as files."""

from __future__ import annotations

from pathlib import Path

from cellseg_mm.reporting.figure_style import figure_style, new_figure, write_figures


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    """An SVG's clip paths have ids, which Matplotlib draws at random unless it is told a salt."""
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        with figure_style():
            figure, axes = new_figure()
            axes.plot([0, 1], [1, 3])
            write_figures({"a": figure}, tmp_path / folder)
    for name in ("a.svg", "a.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
