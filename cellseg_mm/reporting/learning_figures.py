"""The five figures of a training: learning rate, loss, mAP, AP50 and AP75 over the epochs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellseg_mm.reporting import colours
from cellseg_mm.reporting.figure_style import new_figure
from cellseg_mm.visualization.learning_curves import History, use_log_scale

_LOSSES = {
    "loss": ("total", colours.INK),
    "loss_rpn_cls": ("RPN objectness", colours.SKY),
    "loss_rpn_bbox": ("RPN box", colours.BLUE),
    "loss_cls": ("class", colours.VERMILION),
    "loss_bbox": ("box", colours.ORANGE),
    "loss_mask": ("mask", colours.GREEN),
}
_SCORES = {
    "map": ("segm_mAP", "mAP", colours.BLUE),
    "ap50": ("segm_mAP_50", "AP50", colours.VERMILION),
    "ap75": ("segm_mAP_75", "AP75", colours.GREEN),
}
_MARK_UP_TO = 40


def learning_figures(history: History) -> dict[str, Figure]:
    """Draw what the training logged.

    Args:
        history: What :func:`cellseg_mm.visualization.learning_curves.read_scalars` gives.

    Returns:
        Figures by name, in the order `learning_rate`, `loss`, `map`, `ap50`, `ap75`; one without
        any record is left out.
    """
    figures = {}
    if history.training:
        figures["learning_rate"] = _learning_rate(history)
        figures["loss"] = _losses(history)
    for name, (key, label, colour) in _SCORES.items():
        if len(history.validation_curve(key)[0]):
            figures[name] = _score(history, key, label, colour)
    return figures


def best_epoch(history: History) -> float | None:
    """The epoch of greatest mAP; None without a finite one."""
    epochs, values = history.validation_curve("segm_mAP")
    return float(epochs[np.nanargmax(values)]) if np.isfinite(values).any() else None


def _learning_rate(history: History) -> Figure:
    figure, axes = _epoch_figure("Learning rate")
    # With a decay over the layers, `lr` is that of the first layer; `base_lr` is the recipe's.
    for key in ("base_lr", "lr"):
        epochs, values = history.training_curve(key)
        if len(epochs):
            _plot(axes, epochs, values, colours.PURPLE)
            break
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def _losses(history: History) -> Figure:
    figure, axes = _epoch_figure("Training loss", height=3.2)
    positive = False
    for key, (label, colour) in _LOSSES.items():
        epochs, values = history.training_curve(key)
        if len(epochs):
            _plot(axes, epochs, values, colour, label, 2.2 if key == "loss" else 1.3)
            positive |= bool((values > 0).any())
    if positive:
        use_log_scale(axes)
    if axes.lines:
        axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.2), columnspacing=1)
    return figure


def _score(history: History, key: str, label: str, colour: str) -> Figure:
    figure, axes = _epoch_figure(f"{label} of masks, validation")
    epochs, values = history.validation_curve(key)
    _plot(axes, epochs, values, colour)
    best = best_epoch(history)
    at_best = values[epochs == best]
    if best is not None and at_best.size:
        axes.axvline(best, color=colours.MUTED, linestyle=":", linewidth=1)
        axes.plot(best, at_best[0], marker="*", markersize=12, color=colour, zorder=3)
        # To the side with more room.
        left = best > sum(axes.get_xlim()) / 2
        axes.annotate(
            f"{at_best[0]:.3f}",
            (best, at_best[0]),
            xytext=(-8 if left else 8, 6),
            textcoords="offset points",
            ha="right" if left else "left",
        )
    top = np.nanmax(values, initial=0.0)
    axes.set_ylim(0, 1.2 * top if top > 0 else 1)
    return figure


def _epoch_figure(title: str, height: float = 2.9) -> tuple[Figure, Axes]:
    figure, axes = new_figure(height=height)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes


def _plot(
    axes: Axes,
    x: np.typing.NDArray[np.float64],
    y: np.typing.NDArray[np.float64],
    colour: str,
    label: str = "",
    width: float = 1.8,
) -> None:
    marker = "o" if len(x) <= _MARK_UP_TO else ""
    axes.plot(x, y, label=label, color=colour, linewidth=width, marker=marker, markersize=3.5)
    axes.set_xlim(left=0)
