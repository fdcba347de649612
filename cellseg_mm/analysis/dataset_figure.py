"""A data set as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from cellseg_mm.analysis.dataset_statistics import SplitTable
from cellseg_mm.files.atomic_write import atomic_write

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color Universal Design" (2008).
_COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")


def draw_dataset(tables: Mapping[str, SplitTable], path: Path) -> None:
    """Draw image sizes, cells an image, areas, distances, touching cells and colours.

    Args:
        tables: The splits, at least one.
        path: Picture to write; the suffix is its format.
    """
    figure = Figure(figsize=(16, 9), layout="constrained")
    sizes, counts, classes, areas, nearest, colours = figure.subplots(2, 3).ravel()
    for number, (split, table) in enumerate(tables.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        sizes.scatter(*table.image_sizes.T, s=14, alpha=0.6, color=colour, label=split)
    sizes.set(title="Image sizes", xlabel="width, px", ylabel="height, px")
    _draw_counts(counts, tables)
    _draw_classes(classes, tables)
    _draw_histogram(areas, tables, "areas", "Area of a cell", "px²")
    _draw_histogram(nearest, tables, "nearest", "Distance to the nearest cell", "px")
    _draw_colours(colours, tables)
    for axes in (sizes, counts, classes, areas, nearest, colours):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, linewidth=0.6)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize="small")
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix.lstrip("."), dpi=110)


def _draw_counts(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    for number, (split, table) in enumerate(tables.items()):
        cells = np.bincount(table.images, minlength=len(table.image_sizes))[table.with_truth]
        if len(cells):
            share = np.arange(1, len(cells) + 1) / len(cells)
            colour = _COLOURS[number % len(_COLOURS)]
            axes.step(np.sort(cells), share, where="post", color=colour, label=split)
    axes.set(title="Cells an image", xlabel="cells", ylabel="share of images with at most as many")


def _draw_classes(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    width = 0.8 / len(tables)
    names = next(iter(tables.values())).classes
    for number, (split, table) in enumerate(tables.items()):
        counts = np.bincount(table.labels, minlength=len(names))
        if counts.any():
            places = np.arange(len(names)) + (number - (len(tables) - 1) / 2) * width
            colour = _COLOURS[number % len(_COLOURS)]
            axes.bar(places, counts / counts.sum(), width, color=colour, label=split)
    axes.set_xticks(range(len(names)), names)
    axes.set(title="Classes", ylabel="share of the split's cells")


def _draw_histogram(
    axes: Axes, tables: Mapping[str, SplitTable], column: str, title: str, unit: str
) -> None:
    """Distributions by class over all splits, on a logarithmic axis."""
    values = np.concatenate([getattr(table, column) for table in tables.values()])
    labels = np.concatenate([table.labels for table in tables.values()])
    names = next(iter(tables.values())).classes
    shown = np.isfinite(values) & (values > 0)
    axes.set(title=title, xlabel=unit, ylabel="share of the class")
    if not shown.any():
        return
    bins = np.geomspace(values[shown].min(), values[shown].max() * 1.001, 40).tolist()
    for label, name in enumerate(names):
        chosen = values[shown & (labels == label)]
        if len(chosen):
            weights = np.full(len(chosen), 1 / len(chosen))
            colour = _COLOURS[label % len(_COLOURS)]
            axes.hist(chosen, bins, weights=weights, histtype="step", color=colour, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_colours(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    """Mean colours, as patches in those colours: a row for each split."""
    names = ["tissue", *next(iter(tables.values())).classes]
    for row, table in enumerate(tables.values()):
        groups = [table.tissue[~np.isnan(table.tissue).any(axis=1)]]
        groups += [table.colours[table.labels == label] for label in range(len(names) - 1)]
        for column, group in enumerate(groups):
            if len(group):
                colour = tuple(np.clip(group.mean(axis=0) / 255, 0, 1).tolist())
                axes.barh(row, 0.9, 0.8, left=column - 0.45, color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(tables)), list(tables))
    axes.invert_yaxis()
    axes.set_title("Mean colour")
