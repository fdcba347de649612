"""Figures of the error analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cellseg_mm.analysis.dataset_figure import legend_label
from cellseg_mm.analysis.errors.average_precision import BinnedPrecision, Ranking
from cellseg_mm.analysis.errors.error_analysis import ErrorAnalysis
from cellseg_mm.analysis.errors.error_kinds import ErrorKind
from cellseg_mm.analysis.errors.reliability import reliability
from cellseg_mm.reporting.figure_style import new_figure
from cellseg_mm.structures.palette import BLUE, INK, MUTED, class_colour

_BLUES = LinearSegmentedColormap.from_list("report", ["#ffffff", BLUE])


def analysis_figures(analysis: ErrorAnalysis) -> dict[str, Figure]:
    """Draw an error analysis.

    Returns:
        Figures by name: `confusion_matrix`, `precision_recall`, `reliability`, `ap_by_size`,
        `ap_by_crowding`, `error_breakdown`.
    """
    return {
        "confusion_matrix": _confusion_matrix(analysis.confusion, analysis.classes),
        "precision_recall": _precision_recall(analysis.rankings, analysis.classes),
        "reliability": _reliability(analysis.rankings, analysis.classes),
        "ap_by_size": _binned(
            analysis.by_size, analysis.classes, "AP50 by size of the cell", "mask area (pixels)"
        ),
        "ap_by_crowding": _binned(
            analysis.by_crowding,
            analysis.classes,
            "AP50 by crowding",
            "neighbours within 40 pixels",
        ),
        "error_breakdown": _error_breakdown(analysis),
    }


def bin_label(low: float, high: float) -> str:
    """A bin of integers as text: "0–255", "1,024 and more", "0"."""
    if np.isinf(high):
        return f"{low:,.0f} and more"
    last = high - 1
    return f"{low:,.0f}" if last <= low else f"{low:,.0f}–{last:,.0f}"


def shares_of_truth(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each row of a confusion matrix divided by its sum; 0 in an empty row."""
    sums = confusion.sum(axis=1, keepdims=True)
    return confusion / np.maximum(sums, 1)


def _confusion_matrix(confusion: npt.NDArray[np.int64], classes: Sequence[str]) -> Figure:
    size = 1.8 + 0.62 * len(confusion)
    figure, axes = new_figure(size + 0.6, size)
    shares = shares_of_truth(confusion)
    axes.imshow(shares, cmap=_BLUES, vmin=0, vmax=1)
    last = len(classes)
    for row, column in np.ndindex(confusion.shape):
        if (row, column) != (last, last):
            colour = "white" if shares[row, column] > 0.55 else INK
            text = f"{confusion[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(last + 1), [*classes, "missed"], rotation=35, ha="right")
    axes.set_yticks(range(last + 1), [*classes, "spurious"])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Confusion at mask IoU ≥ 0.5")
    return figure


def _precision_recall(rankings: Sequence[Ranking], classes: Sequence[str]) -> Figure:
    figure, axes = _unit_square("recall", "precision", "Precision and recall at mask IoU 0.5")
    for index, (name, ranking) in enumerate(zip(classes, rankings, strict=True)):
        if not ranking.truth_cells:
            continue
        _, precision, recall = ranking.curve()
        axes.plot(  # without predictions, a name in the legend and no line
            np.append(np.zeros(len(recall[:1])), recall),
            np.append(precision[:1], precision),
            color=class_colour(index),
            linewidth=1.7,
            label=legend_label(f"{name}  {ranking.ap():.3f}"),
        )
    if axes.lines:
        _legend_below(axes, "AP50")
    return figure


def _reliability(rankings: Sequence[Ranking], classes: Sequence[str]) -> Figure:
    figure, axes = _unit_square(
        "score", "share that is right", "Reliability of scores at mask IoU 0.5"
    )
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle="--")
    for index, (name, ranking) in enumerate(zip(classes, rankings, strict=True)):
        found = reliability(ranking)
        if found.predictions:
            axes.plot(
                found.scores,
                found.shares,
                color=class_colour(index),
                marker="o",
                markersize=3.5,
                linewidth=1.4,
                label=legend_label(f"{name}  {found.error:.3f}"),
            )
    if len(axes.lines) > 1:
        _legend_below(axes, "expected calibration error")
    return figure


def _unit_square(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure, axes = new_figure(4.8, 4.0)
    axes.set_xlim(0, 1.005)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    return figure, axes


def _legend_below(axes: Axes, title: str) -> None:
    axes.legend(
        title=title,
        title_fontsize=8,
        alignment="left",
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
    )


def _binned(
    bins: Sequence[BinnedPrecision], classes: Sequence[str], title: str, axis: str
) -> Figure:
    figure, axes = new_figure(4.8, 3.2)
    x = np.arange(len(bins))
    axes.plot(x, [b.ap for b in bins], color=INK, marker="o", linewidth=2, label="all", zorder=3)
    for index, name in enumerate(classes):
        axes.plot(
            x,
            [b.ap_by_class[index] for b in bins],
            color=class_colour(index),
            marker="o",
            markersize=3.5,
            linewidth=1.1,
            label=legend_label(name),
        )
    labels = [f"{bin_label(b.low, b.high)}\n{b.truth_cells:,} cells" for b in bins]
    axes.set_xticks(x, [label.replace(" and more", "+") for label in labels])
    axes.set_xlim(-0.4, len(bins) - 0.6)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(axis)
    axes.set_title(title)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    return figure


def _error_breakdown(analysis: ErrorAnalysis) -> Figure:
    kinds = list(ErrorKind)
    figure, axes = new_figure(4.8, 2.8)
    left = np.zeros(len(kinds))
    for index, name in enumerate(analysis.classes):
        counts = np.array([analysis.error_counts[kind][name] for kind in kinds], float)
        colour = class_colour(index)
        axes.barh(
            range(len(kinds)),
            counts,
            left=left,
            color=colour,
            height=0.62,
            label=legend_label(name),
        )
        left += counts
    for row, total in enumerate(left):
        axes.annotate(
            f"{total:,.0f}", (total, row), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(kinds)), [str(kind) for kind in kinds])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(left.max(), 1))
    axes.set_xlabel("cells")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Errors by kind")
    axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.4, -0.22))
    return figure
