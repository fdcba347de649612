"""Learning curves of a work dir, over all of its runs, as one picture."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.structures import palette

Record = dict[str, float]
FloatArray = npt.NDArray[np.float64]

_LOSSES = {
    "loss": ("total", palette.INK),
    "loss_rpn_cls": ("RPN objectness", palette.SKY),
    "loss_rpn_bbox": ("RPN box", palette.BLUE),
    "loss_cls": ("class", palette.VERMILION),
    "loss_bbox": ("box", palette.ORANGE),
    "loss_mask": ("mask", palette.GREEN),
}
SCORES = {
    "segm_mAP": ("mAP", palette.BLUE),
    "segm_mAP_50": ("AP50", palette.VERMILION),
    "segm_mAP_75": ("AP75", palette.GREEN),
}
_LARGEST = 1e300
"""Number that is taken for one: an integer of JSON may be more than a float holds."""

_STAGE_LOSS = re.compile(r"s\d+\.(?=loss_)")
_BEST_BY = "segm_mAP"
_MARK_UP_TO = 40
"""Lines of at most so many points show them."""


@dataclass(frozen=True)
class History:
    """What a training logged, in order of time, without what a resumed run has replaced.

    Attributes:
        training: Records with ``step`` (iterations done), ``epoch`` (counted from 1; equal to
            ``step`` where the training does not count epochs), learning rates and losses.
        validation: Records with ``step`` (epochs done) and scores, their names without a prefix.
    """

    training: Sequence[Record] = field(default_factory=list)
    validation: Sequence[Record] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.training or self.validation)

    @cached_property
    def iterations_per_epoch(self) -> float:
        """Estimated from the records, which lie at the same places of each epoch."""
        firsts: dict[float, float] = {}
        for record in self.training:
            firsts.setdefault(record["epoch"], record["step"])
        if len(firsts) > 1:
            epochs, steps = np.array(sorted(firsts.items())).T
            return float(np.median(np.diff(steps) / np.diff(epochs)))
        return max((r["step"] / r["epoch"] for r in self.training), default=1.0)

    def training_curve(self, key: str) -> tuple[FloatArray, FloatArray]:
        """Epochs done (a fraction within an epoch) and values of a training quantity."""
        records = [record for record in self.training if key in record]
        epochs = [
            np.clip(r["step"] / self.iterations_per_epoch, r["epoch"] - 1, r["epoch"])
            for r in records
        ]
        return np.array(epochs, float), np.array([r[key] for r in records], float)

    def validation_curve(self, key: str) -> tuple[FloatArray, FloatArray]:
        """Epochs done and values of a score."""
        records = [record for record in self.validation if key in record]
        return np.array([r["step"] for r in records], float), np.array(
            [r[key] for r in records], float
        )

    @property
    def best_epoch(self) -> float | None:
        """The epoch of greatest mAP; None without a finite one."""
        epochs, values = self.validation_curve(_BEST_BY)
        return float(epochs[np.nanargmax(values)]) if np.isfinite(values).any() else None


def read_scalars(work_dir: Path | str) -> History:
    """Read what all runs in a work dir logged.

    A run writes one JSON record a line into ``<work_dir>/<time of start>/vis_data/scalars.json``
    (MMEngine's ``LocalVisBackend``). A resumed run starts a new file. It continues from the end of
    the last epoch that was saved, so what an earlier run logged beyond that point is left out. The
    history is empty where nothing was logged.
    """
    training: dict[float, Record] = {}
    validation: dict[float, Record] = {}
    for path in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        run = _read_run(path)
        if run.training:
            start = min(run.training, key=lambda record: record["step"])
            training = {
                step: record
                for step, record in training.items()
                if step < start["step"] and record["epoch"] < start["epoch"]
            }
            validation = {k: v for k, v in validation.items() if k < start["epoch"]}
        training |= {record["step"]: record for record in run.training}
        validation |= {record["step"]: record for record in run.validation}
    return History(
        [training[step] for step in sorted(training)],
        [validation[step] for step in sorted(validation)],
    )


def draw_learning_curves(history: History, path: Path | str) -> None:
    """Draw learning rate, loss terms and mask AP over the epochs; mark the best epoch by mAP.

    One record is enough. The suffix of the picture is its format; an older one is replaced.

    Raises:
        ValueError: The history is empty.
    """
    if not history:
        raise UserError("There are no learning curves to draw: the history is empty.")
    # A figure of its own, without pyplot: that would keep global state in the training process.
    figure = Figure(figsize=(16, 4.8), layout="constrained")
    rate, loss, score = figure.subplots(1, 3)
    draw_learning_rate(rate, history)
    if draw_losses(loss, history):
        loss.legend(frameon=False, ncols=2, fontsize="small")
    _draw_scores(score, history)
    for axes in (rate, loss, score):
        epoch_axis(axes)
        axes.grid(alpha=0.3, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=120)


def _read_run(path: Path) -> History:
    """The records of one file."""
    training: list[Record] = []
    validation: list[Record] = []
    for record in _read_records(path):
        if "lr" in record:
            training.append({"epoch": record["step"]} | _sum_stages(record))
        else:
            # "coco/segm_mAP"; a class name behind the first slash may have more of them.
            scores = {key.partition("/")[2] or key: value for key, value in record.items()}
            # A validation outside of a training is logged as that of epoch 0.
            if _BEST_BY in scores and scores["step"] > 0:
                validation.append(scores)
    return History(training, validation)


def _sum_stages(record: Record) -> Record:
    """Losses of a cascade's stages, ``s0.loss_cls`` and so on, as one ``loss_cls``."""
    summed = {key: value for key, value in record.items() if not _STAGE_LOSS.match(key)}
    for key, value in record.items():
        if stage := _STAGE_LOSS.match(key):
            name = key[stage.end() :]
            summed[name] = summed.get(name, 0.0) + value
    return summed


def _read_records(path: Path) -> Iterator[Record]:
    """The numbers of each line; a run that was killed while it wrote, or a disk, damages some."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            numbers = {k: v for k, v in content.items() if isinstance(v, (int, float))}
            record = {k: v for k, v in numbers.items() if not abs(v) > _LARGEST}
            if record.get("step", -1) >= 0 and record.get("epoch", 1) > 0:
                yield record


def draw_learning_rate(axes: Axes, history: History) -> None:
    """Draw the learning rate over the epochs."""
    axes.set_title("Learning rate")
    # With a decay over the layers, `lr` is that of the first layer; `base_lr` is the recipe's.
    for key in ("base_lr", "lr"):
        epochs, values = history.training_curve(key)
        if len(epochs):
            plot_epochs(axes, epochs, values, palette.PURPLE)
            break
    start_at_zero(axes)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))


def draw_losses(axes: Axes, history: History) -> bool:
    """Draw the loss and its terms over the epochs; whether there are any."""
    axes.set_title("Training loss")
    positive = False
    for key, (name, colour) in _LOSSES.items():
        epochs, values = history.training_curve(key)
        if len(epochs):
            plot_epochs(axes, epochs, values, colour, name, 2.2 if key == "loss" else 1.4)
            positive |= bool((values > 0).any())
    if positive:
        # Their terms differ by an order of magnitude.
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    return bool(axes.lines)


def _draw_scores(axes: Axes, history: History) -> None:
    axes.set_title("Validation: mask AP, up to 1,000 detections")
    best = history.best_epoch
    for key, (name, colour) in SCORES.items():
        value = draw_score(axes, history, key, colour, name)
        if value is not None:
            axes.lines[-1].set_label(f"{name}  {value:.3f}")
    start_at_zero(axes)
    if best is not None:
        axes.legend(title=f"best mAP: epoch {best:g}", frameon=False, loc="best")


def draw_score(
    axes: Axes, history: History, key: str, colour: str, label: str = ""
) -> float | None:
    """Draw a score over the epochs and mark that of the best mAP; the value there, if any."""
    epochs, values = history.validation_curve(key)
    best = history.best_epoch
    at_best = values[epochs == best]
    if best is not None and at_best.size:
        axes.axvline(best, color=palette.MUTED, linestyle=":", linewidth=1)
        axes.plot(best, at_best[0], marker="*", markersize=13, color=colour, zorder=3)
    plot_epochs(axes, epochs, values, colour, label)
    return float(at_best[0]) if at_best.size else None


def plot_epochs(
    axes: Axes, x: FloatArray, y: FloatArray, colour: str, label: str = "", width: float = 1.8
) -> None:
    """Draw a line over the epochs, with points where they are few."""
    marker = "o" if len(x) <= _MARK_UP_TO else ""
    axes.plot(x, y, label=label, color=colour, linewidth=width, marker=marker, markersize=3.5)


def epoch_axis(axes: Axes) -> None:
    """Let the x axis count epochs from 0; to be called when all is drawn."""
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def start_at_zero(axes: Axes, room: float = 1.1) -> None:
    """Let the y axis begin at 0, with some room above the highest value (none may be negative)."""
    highest = axes.dataLim.y1
    axes.set_ylim(0, room * highest if np.isfinite(highest) and highest > 0 else 1)
