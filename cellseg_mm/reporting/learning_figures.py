"""The five figures of a training: learning rate, loss, mAP, AP50 and AP75 over the epochs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cellseg_mm.reporting.figure_style import new_figure
from cellseg_mm.visualization.learning_curves import (
    SCORES,
    History,
    draw_learning_rate,
    draw_losses,
    draw_score,
    epoch_axis,
    start_at_zero,
)


def learning_figures(history: History) -> dict[str, Figure]:
    """Draw what the training logged.

    Returns:
        Figures by name, in the order `learning_rate`, `loss`, `map`, `ap50`, `ap75`; one without
        any record is left out.
    """
    figures = {}
    if history.training:
        figures["learning_rate"], axes = new_figure()
        draw_learning_rate(axes, history)
        epoch_axis(axes)
        figures["loss"], axes = new_figure(height=3.2)
        if draw_losses(axes, history):
            axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.2), columnspacing=1)
        epoch_axis(axes)
    for key, (label, colour) in SCORES.items():
        if len(history.validation_curve(key)[0]):
            figures[label.lower()] = _score(history, key, label, colour)
    return figures


def training_facts(history: History) -> dict[str, str]:
    """Length, best epoch, time and memory of a training, as far as they were logged."""
    values = {}
    if history.training:
        last = history.training[-1]
        values["Trained"] = f"{last['epoch']:,.0f} epochs, {last['step']:,.0f} iterations"
    best = history.best_epoch
    if best is not None:
        epochs, scores = history.validation_curve("segm_mAP")
        values["Best epoch"] = f"{best:.0f} (validation mAP {scores[epochs == best][0]:.3f})"
    times = history.training_curve("time")[1]
    if times.size:
        values["Time an iteration"] = f"{np.median(times):.2f} s (median)"
    memory = history.training_curve("memory")[1]
    if memory.size:
        values["GPU memory"] = f"{memory.max() / 1024:.1f} GiB (greatest)"
    return values


def _score(history: History, key: str, label: str, colour: str) -> Figure:
    figure, axes = new_figure()
    axes.set_title(f"{label} of masks, validation")
    value, best = draw_score(axes, history, key, colour), history.best_epoch
    epoch_axis(axes)
    if value is not None and best is not None:
        # To the side with more room.
        left = best > sum(axes.get_xlim()) / 2
        axes.annotate(
            f"{value:.3f}",
            (best, value),
            xytext=(-8 if left else 8, 6),
            textcoords="offset points",
            ha="right" if left else "left",
        )
    start_at_zero(axes, room=1.2)
    return figure
