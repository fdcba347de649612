"""The sections of the report as HTML: what it says, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cellseg_mm.analysis.errors.average_precision import BinnedPrecision
from cellseg_mm.analysis.errors.bootstrap import FEW_UNITS, Interval
from cellseg_mm.analysis.errors.error_analysis import ErrorAnalysis, ImageScore
from cellseg_mm.analysis.errors.error_kinds import ErrorKind
from cellseg_mm.analysis.errors.image_matches import MATCH_IOU
from cellseg_mm.analysis.errors.metric_intervals import COCO_CAP, MetricIntervals
from cellseg_mm.analysis.errors.ranked_predictions import CAP
from cellseg_mm.reporting.analysis_figures import bin_label, shares_of_truth
from cellseg_mm.reporting.dataset_summary import DatasetSummary
from cellseg_mm.reporting.figure_style import inline_svg
from cellseg_mm.reporting.image_files import jpeg_data_uri
from cellseg_mm.reporting.learning_figures import best_epoch
from cellseg_mm.reporting.markup import (
    facts,
    figure,
    interval_text,
    number,
    paragraph,
    scrolling,
    table,
    whisker,
)
from cellseg_mm.reporting.run_record import RunRecord
from cellseg_mm.reporting.worst_cells import PREDICTION_COLOUR, TRUTH_COLOUR, CellPicture
from cellseg_mm.visualization.learning_curves import History

_COCO_ROWS = {
    "mAP": "AP, mean over IoU 0.50 to 0.95 and classes",
    "AP50": "AP at IoU 0.50",
    "AP75": "AP at IoU 0.75",
    f"mAP_dets{COCO_CAP}": f"mAP at COCO's own cap of {COCO_CAP} detections",
    "AR": "greatest recall, mean over IoU 0.50 to 0.95 and classes",
}
_CELL_ROWS = {
    "bPQ": "panoptic quality, all cells as one class, mean over images",
    "bDQ": "its detection part",
    "bSQ": "its segmentation part",
    "mPQ": "panoptic quality by class, mean over classes, then images",
    "mPQ+": "panoptic quality of pooled classes, mean over classes",
    "AJI": "aggregated Jaccard index, mean over images",
    "AJI+": "the same with one-to-one pairs",
    "Dice": "of foreground pixels, mean over images",
    "F1": "detection, all cells as one class, pooled",
    "precision": "right among the predicted cells",
    "recall": "found among the true cells",
    "threat_score_50": "TP / (TP + FP + FN) at IoU 0.5: “AP” of StarDist and Cellpose, not COCO's",
    "threat_score_75": "the same at IoU 0.75",
    "R2": "agreement of counts by image, mean over classes",
}
_KEY_NUMBERS = (
    *(("coco", "mAP", "mask mAP"), ("coco", "AP50", "mask AP50"), ("coco", "AP75", "mask AP75")),
    *(("cell", "bPQ", "bPQ"), ("cell", "mPQ+", "mPQ+"), ("cell", "AJI", "AJI")),
    *(("cell", "F1", "detection F1"), ("cell", "Dice", "Dice")),
)
_KIND_WORDS = {
    ErrorKind.WRONG_CLASS: f"outline right (IoU ≥ {MATCH_IOU}), class wrong",
    ErrorKind.POOR_OUTLINE: f"on a cell, but IoU from 0.1 to {MATCH_IOU}",
    ErrorKind.DUPLICATE: "of a cell that a better prediction found",
    ErrorKind.BACKGROUND: "where there is no cell (IoU below 0.1)",
    ErrorKind.MISSED: "true cell that nothing stands for",
}


def results_section(
    metrics: MetricIntervals, analysis: ErrorAnalysis, score_threshold: float
) -> str:
    """Key numbers and tables of all metrics."""
    of = {"coco": metrics.coco, "cell": metrics.cell}
    key = "".join(
        f"<div><dt>{label}</dt><dd>{number(of[group][name].value)}"
        f"<small>{interval_text(of[group][name]) or '&nbsp;'}</small></dd></div>"
        for group, name, label in _KEY_NUMBERS
    )
    return "\n".join(
        (
            f'<dl class="key-numbers">{key}</dl>',
            *_interval_notes(metrics),
            _metric_table(
                f"COCO, masks, up to {CAP:,} detections of a class in an image",
                metrics.coco,
                _COCO_ROWS,
            ),
            _metric_table(
                f"Cell metrics, predictions with score ≥ {score_threshold:g}, a match needs "
                "mask IoU > 0.5",
                metrics.cell,
                _CELL_ROWS,
            ),
            _class_table(metrics, analysis.classes),
        )
    )


def _interval_notes(metrics: MetricIntervals) -> list[str]:
    units = metrics.units
    if not metrics.samples:
        return [paragraph("No intervals: no bootstrap samples were drawn.")]
    notes = [
        paragraph(
            f"Small figures are 95 % bootstrap intervals (percentiles): {metrics.samples:,} "
            f"samples of the {units.count} {units.kind}, drawn with replacement, seed "
            f"{metrics.seed}. They say how far a number would move with other {units.kind}, not "
            "with another training."
        )
    ]
    if units.count < FEW_UNITS:
        notes.append(
            paragraph(
                f"With only {units.count} {units.kind} the intervals are too narrow, and not to be "
                "relied on.",
                "warning",
            )
        )
    return notes


def _metric_table(caption: str, intervals: Mapping[str, Interval], rows: Mapping[str, str]) -> str:
    return table(
        caption,
        ("metric", "value", "95 % interval", "0 to 1", "meaning"),
        [
            (
                name,
                number(intervals[name].value),
                f'<td class="interval">{interval_text(intervals[name])}</td>',
                whisker(intervals[name]),
                f'<td class="text">{escape(meaning)}</td>',
            )
            for name, meaning in rows.items()
        ],
        "metrics",
    )


def _class_table(metrics: MetricIntervals, classes: Sequence[str]) -> str:
    def cell(interval: Interval) -> str:
        ends = interval_text(interval)
        return f'{number(interval.value)}<small class="interval">{ends}</small>'

    rows = []
    for name in classes:
        rows.append(
            (
                name,
                f"{metrics.cell[f'truth_{name}'].value:,.0f}",
                f"{metrics.cell[f'predicted_{name}'].value:,.0f}",
                cell(metrics.coco[f"AP_{name}"]),
                cell(metrics.coco[f"AP50_{name}"]),
                cell(metrics.cell[f"PQ_{name}"]),
                cell(metrics.cell[f"F1_{name}"]),
                cell(metrics.cell[f"R2_{name}"]),
            )
        )
    head = ("class", "true cells", "predicted", "AP", "AP50", "PQ+", "F1", "R² of counts")
    return table("By class, pooled over the data set", head, rows)


def training_section(
    history: History, figures: Mapping[str, Figure], record: RunRecord, work_dir: str | None
) -> str:
    """The learning curves and the training in a few numbers."""
    if not history:
        where = f"The work dir {work_dir} holds no training logs" if work_dir else "No work dir"
        return paragraph(f"{where}: the learning curves are left out.")
    words = {
        "learning_rate": "Learning rate over the epochs",
        "loss": "Training loss and its terms over the epochs",
        "map": "Validation mask mAP over the epochs",
        "ap50": "Validation mask AP50 over the epochs",
        "ap75": "Validation mask AP75 over the epochs",
    }
    shown = "".join(figure(inline_svg(figures[k], k, v)) for k, v in words.items() if k in figures)
    missing = [v for k, v in words.items() if k not in figures]
    note = paragraph(f"Not logged: {'; '.join(missing).lower()}.") if missing else ""
    tables = facts("The training", training_facts(history))
    if record.settings:
        tables += "</div><div>" + facts("From its config", record.settings)
    return (
        f'<div class="figures wide"><div>{tables}</div></div>'
        f'<div class="figures">{shown}</div>{note}'
    )


def training_facts(history: History) -> dict[str, str]:
    """Length, best epoch, time and memory of a training, as far as they were logged."""
    values = {}
    if history.training:
        last = history.training[-1]
        values["Trained"] = f"{last['epoch']:,.0f} epochs, {last['step']:,.0f} iterations"
    best = best_epoch(history)
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


def errors_section(
    analysis: ErrorAnalysis,
    figures: Mapping[str, Figure],
    shown_images: Mapping[int, int],
    worst: Mapping[ErrorKind, Sequence[CellPicture]],
) -> str:
    """Confusion, curves, bins, breakdown, worst images and worst cells."""
    alternatives = {
        "precision_recall": "Precision over recall of each class",
        "error_breakdown": "Number of errors of each kind, by class",
        "ap_by_size": "AP50 by mask area, all classes and each of them; numbers in the table below",
        "ap_by_crowding": "AP50 by number of neighbours; numbers in the table below",
    }
    svgs = {
        name: figure(inline_svg(figures[name], name, words)) for name, words in alternatives.items()
    }
    return "\n".join(
        (
            "<h3>Confusion and misses</h3>",
            _confusion_table(analysis),
            f'<div class="figures wide">{svgs["precision_recall"]}{svgs["error_breakdown"]}</div>',
            "<h3>Kinds of error</h3>",
            _kinds_table(analysis),
            "<h3>Size and crowding</h3>",
            f'<div class="figures wide">{svgs["ap_by_size"]}{svgs["ap_by_crowding"]}</div>',
            _bins_table("AP50 by mask area", "pixels", analysis.by_size, analysis.classes),
            _bins_table(
                "AP50 by number of neighbours", "neighbours", analysis.by_crowding, analysis.classes
            ),
            "<h3>Worst images</h3>",
            _images_table(analysis.images[:10], shown_images),
            "<h3>Worst cells</h3>",
            _worst_cells(worst),
        )
    )


def _confusion_table(analysis: ErrorAnalysis) -> str:
    shares = shares_of_truth(analysis.confusion)
    last = len(analysis.classes)
    rows = []
    for r, name in enumerate((*analysis.classes, "spurious")):
        cells = []
        for c in range(last + 1):
            if r == c == last:
                cells.append("<td></td>")
                continue
            share = f"<small>{shares[r, c]:.0%}</small>" if r < last else ""
            cells.append(
                f'<td style="--share:{shares[r, c]:.3f}">{analysis.confusion[r, c]:,}{share}</td>'
            )
        rows.append((name, *cells))
    return table(
        "True class (rows) and predicted class (columns) of cells matched at mask IoU ≥ "
        f"{MATCH_IOU}, score ≥ {analysis.score_threshold:g}; per cent of the row",
        ("true", *analysis.classes, "missed"),
        rows,
        "confusion",
    )


def _kinds_table(analysis: ErrorAnalysis) -> str:
    return table(
        f"Errors at score ≥ {analysis.score_threshold:g}; the gain is that of AP50 (all scores) if "
        "errors of the kind were mended",
        ("kind", "cells", *analysis.classes, "AP50 gain", "meaning"),
        [
            (
                str(kind),
                f"{sum(analysis.error_counts[kind].values()):,}",
                *(f"{analysis.error_counts[kind][name]:,}" for name in analysis.classes),
                number(analysis.ap_gains[kind]),
                f'<td class="text">{escape(_KIND_WORDS[kind])}</td>',
            )
            for kind in ErrorKind
        ],
        "described",
    )


def _bins_table(
    caption: str, unit: str, bins: Sequence[BinnedPrecision], classes: Sequence[str]
) -> str:
    return table(
        caption,
        (unit, "true cells", "AP50", "recall", *classes),
        [
            (
                bin_label(b.low, b.high),
                f"{b.truth_cells:,}",
                number(b.ap),
                number(b.recall),
                *map(number, b.ap_by_class),
            )
            for b in bins
        ],
    )


def _images_table(images: Sequence[ImageScore], shown: Mapping[int, int]) -> str:
    def row(image: ImageScore) -> str:
        name = escape(image.file_name)
        if image.image_id in shown:
            name = f'<a href="#images" data-show-image="{shown[image.image_id]}">{name}</a>'
        return (
            f'<tr><td class="name">{name}</td><td>{number(image.pq)}</td>'
            f"<td>{image.truth_cells:,}</td><td>{image.predicted_cells:,}</td>"
            f"<td>{image.matched:,}</td></tr>"
        )

    caption = "The images of least PQ (all cells as one class); links lead to the browser"
    head = ("image", "PQ", "true cells", "predicted", "matched")
    return scrolling(
        caption,
        "<table><thead><tr>"
        + "".join(f'<th scope="col">{title}</th>' for title in head)
        + f"</tr></thead><tbody>{''.join(map(row, images))}</tbody></table>",
    )


def _worst_cells(worst: Mapping[ErrorKind, Sequence[CellPicture]]) -> str:
    blocks = [
        f'<p class="note"><span class="swatch" style="--colour:{TRUTH_COLOUR}"></span> truth '
        f'<span class="swatch" style="--colour:{PREDICTION_COLOUR}"></span> prediction. Surest '
        "errors first, outlines of least IoU first, largest missed cells first.</p>"
    ]
    for kind, pictures in worst.items():
        if not pictures:
            continue
        items = "".join(_cell_item(picture) for picture in pictures)
        words = escape(f"{str(kind).capitalize()}: {_KIND_WORDS[kind]}")
        blocks.append(f'<p>{words}</p><ul class="cells">{items}</ul>')
    return "\n".join(blocks)


def _cell_item(picture: CellPicture) -> str:
    error = picture.error
    if error.kind is ErrorKind.MISSED:
        words = f"{error.truth_class}, {error.area:,} px"
    else:
        words = f"{error.predicted_class}, score {error.score:.2f}"
        if error.kind is ErrorKind.WRONG_CLASS:
            words += f", is {error.truth_class}"
        if error.truth_class is not None:
            words += f", IoU {error.iou:.2f}"
    text = escape(words)
    x, y = error.box[:2]
    place = escape(f"{error.file_name} at x {x}, y {y}")
    return (
        f'<li><figure><img src="{jpeg_data_uri(picture.picture, quality=80)}" width="144" '
        f'height="144" alt="{escape(str(error.kind))}: {text}" title="{place}">'
        f"<figcaption>{text}</figcaption></figure></li>"
    )


def images_section(browser: Mapping[str, Any], total: int) -> str:
    """The controls of the image browser; its script fills them with life."""
    images = browser["images"]
    if not images:
        return paragraph("No image was asked for.")
    names = [
        image["name"] if image["pq"] is None else f"{image['name']} (PQ {image['pq']:.2f})"
        for image in images
    ]
    options = "".join(
        f'<option value="{i}">{escape(name)}</option>' for i, name in enumerate(names)
    )
    views = "".join(
        f'<label><input type="radio" name="view" value="{view}"><span>{view.capitalize()}</span>'
        "</label>"
        for view in ("truth", "prediction", "difference")
    )
    choice = (
        "half of them the worst by PQ, the others evenly spread up to the best"
        if len(images) < total
        else "worst by PQ first"
    )
    return f"""
<p class="note">{len(images)} of {total} images, {choice}; JPEG, outlines exact to the pixel.</p>
<noscript><p>The image browser needs JavaScript, which is part of this file.</p></noscript>
<div id="browser" hidden>
<div class="controls">
<div class="choice">
<button type="button" data-action="previous" aria-label="Previous image">‹</button>
<select name="image" aria-label="Image">{options}</select>
<button type="button" data-action="next" aria-label="Next image">›</button>
</div>
<fieldset class="segmented"><legend>Show</legend>{views}</fieldset>
</div>
<div class="controls">
<fieldset><legend>Classes</legend>{_toggles("class", browser["classes"])}</fieldset>
<fieldset class="kinds"><legend>Difference</legend>{_toggles("kind", browser["kinds"])}</fieldset>
</div>
<canvas tabindex="0" role="img" aria-label="Image" aria-describedby="browser-keys"></canvas>
<p class="under-pointer"></p>
<div class="controls">
<button type="button" data-action="out" aria-label="Zoom out">−</button>
<button type="button" data-action="in" aria-label="Zoom in">+</button>
<button type="button" data-action="fit">Fit</button>
<span class="zoom-level"></span>
<label><input type="checkbox" name="outlines" checked> outlines</label>
</div>
<p class="status" role="status"></p>
<p class="note" id="browser-keys">Wheel or two fingers zoom, dragging moves. With the picture in
focus: <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom, arrows move, <kbd>t</kbd> <kbd>p</kbd>
<kbd>d</kbd> truth, prediction, difference, <kbd>n</kbd> <kbd>b</kbd> next and previous image. In
the difference, white outlines are the true cells of wrong classes and poor outlines.</p>
</div>"""


def _toggles(name: str, entries: Sequence[Mapping[str, str]]) -> str:
    return "".join(
        f'<label><input type="checkbox" name="{name}" value="{i}" checked>'
        f'<span class="swatch" style="--colour:{entry["colour"]}"></span>'
        f"{escape(entry['name'])}</label>"
        for i, entry in enumerate(entries)
    )


def data_section(summary: DatasetSummary, split: str) -> str:
    """The parts of the data set and its audit."""
    classes = list(dict.fromkeys(name for part in summary.parts for name in part.cells))
    rows = [
        (
            part.name + (" (this report)" if part.name == split else ""),
            f"{part.images:,}",
            "–" if part.patients is None else f"{part.patients:,}",
            f"{sum(part.cells.values()):,}",
            *(f"{part.cells.get(name, 0):,}" for name in classes),
            number(part.median_cells, 0),
        )
        for part in summary.parts
    ]
    areas = [
        (part.name, *(number(part.median_area.get(name, float("nan")), 0) for name in classes))
        for part in summary.parts
        if any(part.cells.values())
    ]
    head = ("part", "images", "patients", "cells", *classes, "median an image")
    content = table("Images and true cells", head, rows)
    content += table("Median mask area (pixels)", ("part", *classes), areas)
    if summary.facts:
        content += facts("From the audit of the data preparation", summary.facts)
    if summary.warnings:
        items = "".join(f"<li>{escape(warning)}</li>" for warning in summary.warnings)
        content += f"<h3>Warnings of the data preparation</h3><ul>{items}</ul>"
    return content


def run_section(record: RunRecord, machine: dict[str, str], versions: dict[str, str]) -> str:
    """Config, versions, seed and hardware."""
    if record.environment:
        training = facts("The training, from its newest log", record.environment)
    else:
        training = paragraph("No log names the machine of the training.")
    machine_table = facts("The machine that wrote this report", machine)
    versions_table = facts("Packages on it", versions)
    content = (
        f'<div class="figures wide"><div>{training}{machine_table}</div>'
        f"<div>{versions_table}</div></div>"
    )
    if record.config_text:
        content += (
            f"<details><summary>The whole config ({escape(record.config_name)})</summary>"
            f'<pre tabindex="0"><code>{escape(record.config_text)}</code></pre></details>'
        )
    else:
        content += paragraph("The work dir holds no dumped config.")
    return content
