"""Write a report: from predictions and truth to one HTML file and a folder of figures."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cellseg_mm.analysis.errors.bootstrap import FEW_UNITS, resampling_units
from cellseg_mm.analysis.errors.error_analysis import analyse_errors
from cellseg_mm.analysis.errors.image_matches import MATCH_IOU, SCORE_THRESHOLD
from cellseg_mm.analysis.errors.metric_intervals import COCO_CAP, metric_intervals
from cellseg_mm.analysis.errors.ranked_predictions import CAP
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.predictions import load_predictions
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.files.owned_folder import replaced_folder
from cellseg_mm.reporting.analysis_figures import analysis_figures, bin_label, shares_of_truth
from cellseg_mm.reporting.data_record import read_data_record
from cellseg_mm.reporting.figure_style import figure_style, write_figures
from cellseg_mm.reporting.image_browser import browser_data, choose_images
from cellseg_mm.reporting.learning_figures import learning_figures, training_facts
from cellseg_mm.reporting.render import render
from cellseg_mm.reporting.run_record import RunRecord, read_run_record, this_machine
from cellseg_mm.reporting.worst_cells import (
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    contact_sheet,
    draw_worst_cells,
)
from cellseg_mm.runs.package_versions import package_versions
from cellseg_mm.visualization.learning_curves import History, read_scalars

_DATA = Path("data/cell")
"""Where the configs have their data."""


@dataclass(frozen=True)
class ReportOptions:
    """What to report on.

    Attributes:
        predictions: COCO result list, or a zip with one.
        data_root: Prepared folder; None for the one that the dumped config of the work dir names,
            or `data/cell` without one.
        split: "train", "val" or "test"; needs true cells.
        work_dir: Of the training; None leaves out curves, config and log.
        score_threshold: Least score of a prediction where scores do not rank.
        images: Most images in the browser.
        samples: Number of bootstrap samples.
        seed: Of the samples.
    """

    predictions: Path
    data_root: Path | None = None
    split: str = "val"
    work_dir: Path | None = None
    score_threshold: float = SCORE_THRESHOLD
    images: int = 8
    samples: int = 1000
    seed: int = 0


def figures_folder(out: Path) -> Path:
    """Where the figures of a report go: beside it, `<its name>_figures`."""
    return out.with_name(f"{out.stem}_figures")


def write_report(options: ReportOptions, out: Path) -> None:
    """Write `out` and the folder :func:`figures_folder`; both appear whole or not at all.

    An older report there is replaced.

    Raises:
        FileNotFoundError: A file or folder that is named does not exist.
        ValueError: A file is not what it should be, the split has no true cells, or the folder of
            the figures holds something else.
    """
    if options.work_dir is not None and not options.work_dir.is_dir():
        raise MissingFileError(
            f"The work dir {options.work_dir} does not exist: name the folder of a training, or "
            "leave it out."
        )
    if not out.parent.is_dir():
        raise MissingFileError(f"The folder {out.parent} does not exist: make it, or change --out.")
    if out.is_dir():
        raise UserError(f"{out} is a folder: name an HTML file with --out.")
    with atomic_write(out) as page, replaced_folder(figures_folder(out)) as figures:
        page.write_text(_compose(options, figures), encoding="utf-8")


def _compose(options: ReportOptions, figures: Path) -> str:
    """The page; its figures are written into the folder."""
    work_dir = options.work_dir
    record = RunRecord() if work_dir is None else read_run_record(work_dir)
    split = options.split
    data_root, ann_file = options.data_root, f"annotations/{split}.json"
    if data_root is None:
        data_root, ann_file = _recorded_data(record, split), record.annotation_file(split)
    annotations = read_annotations(data_root / ann_file)
    if not any(annotations.cells.values()):
        raise UserError(
            f"{annotations.source} holds no true cells to compare with: choose another --split."
        )
    predictions = load_predictions(options.predictions, annotations)
    analysis = analyse_errors(annotations, predictions, options.score_threshold)
    units = resampling_units(annotations.images.values())
    chosen = choose_images(analysis.images, options.images)
    worst = draw_worst_cells(analysis.worst, annotations, predictions, data_root)
    history = History() if work_dir is None else read_scalars(work_dir)
    with figure_style():
        curves, drawn = learning_figures(history), analysis_figures(analysis)
        write_figures(curves | drawn | contact_sheet(worst), figures)
        return render(
            "report.html",
            options=options,
            name=options.predictions.stem if work_dir is None else work_dir.resolve().name,
            now=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            data_root=data_root,
            annotations=annotations,
            predictions=predictions,
            analysis=analysis,
            units=units,
            metrics=metric_intervals(
                analysis.matches, analysis.classes, units, options.samples, options.seed
            ),
            cap=CAP,
            coco_cap=COCO_CAP,
            few_units=FEW_UNITS,
            match_iou=MATCH_IOU,
            figures=drawn,
            shares=shares_of_truth(analysis.confusion),
            bin_label=bin_label,
            chosen=chosen,
            browser=browser_data(chosen, analysis, annotations, predictions, data_root),
            worst=worst,
            truth_colour=TRUTH_COLOUR,
            prediction_colour=PREDICTION_COLOUR,
            curves=curves,
            history=history,
            training=training_facts(history),
            data=read_data_record(data_root),
            record=record,
            machine=this_machine(),
            versions={name: v for name, v in package_versions().items() if v},
        )


def _recorded_data(record: RunRecord, split: str) -> Path:
    """The data set of the run, which its dumped config names."""
    found = record.data_root(split)
    if found is None:
        return _DATA
    if not found.is_dir():
        raise MissingFileError(
            f"The data set {found}, which {record.config_name} in the work dir names, does not "
            "exist: say with --data where it is."
        )
    return found
