"""A data set as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from cellseg_mm.analysis.split_tables import RGB, SplitTable
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.structures.palette import BLUE, GREEN, VERMILION, class_colour

_SPLIT_COLOURS = (VERMILION, BLUE, GREEN)


@rc_context({"text.parse_math": False})  # a class may be called "CD3$+$"
def draw_dataset(tables: Mapping[str, SplitTable], path: Path) -> None:
    """Draw image sizes, cells an image, classes, areas, distances and colours of the splits.

    The suffix of the file is its format.
    """
    figure = Figure(figsize=(16, 9), layout="constrained")
    sizes, counts, classes, areas, nearest, colours = figure.subplots(2, 3).ravel()
    for number, (split, table) in enumerate(tables.items()):
        at = table.images["width"], table.images["height"]
        sizes.scatter(*at, s=14, alpha=0.6, color=_SPLIT_COLOURS[number], label=split)
    sizes.set(title="Image sizes", xlabel="width, px", ylabel="height, px")
    _draw_counts(counts, tables)
    _draw_classes(classes, tables)
    _draw_histogram(areas, tables, "area", "Area of a cell", "px²")
    _draw_histogram(nearest, tables, "nearest", "Distance to the nearest cell", "px")
    _draw_colours(colours, tables)
    for axes in (sizes, counts, classes, areas, nearest, colours):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, linewidth=0.6)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize="small")
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=110)


def legend_label(name: str) -> str:
    """A name as the label of a line: one that starts with "_" would not get into the legend."""
    return f" {name}" if name.startswith("_") else name


def _draw_counts(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    for number, (split, table) in enumerate(tables.items()):
        cells = np.bincount(table.cells["image"].astype(int), minlength=len(table.images))
        cells = cells[table.images["with_truth"]]
        if len(cells):
            share = np.arange(1, len(cells) + 1) / len(cells)
            colour = _SPLIT_COLOURS[number]
            axes.step(np.sort(cells), share, where="post", color=colour, label=split)
    axes.set(title="Cells an image", xlabel="cells", ylabel="share of images with at most as many")


def _draw_classes(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    width = 0.8 / len(tables)
    names = next(iter(tables.values())).classes
    for number, (split, table) in enumerate(tables.items()):
        counts = np.bincount(table.cells["label"].astype(int), minlength=len(names))
        if counts.any():
            places = np.arange(len(names)) + (number - (len(tables) - 1) / 2) * width
            colour = _SPLIT_COLOURS[number]
            axes.bar(places, counts / counts.sum(), width, color=colour, label=split)
    axes.set_xticks(range(len(names)), names)
    axes.set(title="Classes", ylabel="share of the split's cells")


def _draw_histogram(
    axes: Axes, tables: Mapping[str, SplitTable], column: str, title: str, unit: str
) -> None:
    """Distributions by class over all splits, on a logarithmic axis."""
    values = np.concatenate([table.cells[column].to_numpy(float) for table in tables.values()])
    labels = np.concatenate([table.cells["label"] for table in tables.values()])
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
            axes.hist(
                chosen,
                bins,
                weights=weights,
                histtype="step",
                color=class_colour(label),
                label=legend_label(name),
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_colours(axes: Axes, tables: Mapping[str, SplitTable]) -> None:
    """Mean colours, as patches in those colours: a row for each split."""
    names = ["tissue", *next(iter(tables.values())).classes]
    for row, table in enumerate(tables.values()):
        of_class = [table.cells[table.cells["label"] == label] for label in range(len(names) - 1)]
        for column, group in enumerate([table.images, *of_class]):
            mean = group[RGB].to_numpy(float)
            mean = mean[~np.isnan(mean).any(axis=1)]
            if len(mean):
                colour = tuple(np.clip(mean.mean(axis=0) / 255, 0, 1).tolist())
                axes.barh(row, 0.9, 0.8, left=column - 0.45, color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(tables)), list(tables))
    axes.invert_yaxis()
    axes.set_title("Mean colour")
