"""Write a report: from predictions and truth to one HTML file and a folder of figures."""

from __future__ import annotations

import datetime
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cellseg_mm.analysis.errors.bootstrap import resampling_units
from cellseg_mm.analysis.errors.error_analysis import analyse_errors
from cellseg_mm.analysis.errors.image_matches import SCORE_THRESHOLD
from cellseg_mm.analysis.errors.metric_intervals import metric_intervals
from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import read_annotations
from cellseg_mm.evaluation.predictions import load_predictions
from cellseg_mm.reporting import sections
from cellseg_mm.reporting.analysis_figures import analysis_figures
from cellseg_mm.reporting.dataset_summary import summarize_dataset
from cellseg_mm.reporting.figure_style import figure_style, write_figures
from cellseg_mm.reporting.image_browser import browser_data, choose_images
from cellseg_mm.reporting.learning_figures import learning_figures
from cellseg_mm.reporting.page import Section, render_page
from cellseg_mm.reporting.run_record import (
    RunRecord,
    package_versions,
    read_run_record,
    this_machine,
)
from cellseg_mm.reporting.worst_cells import contact_sheet, draw_worst_cells
from cellseg_mm.visualization.learning_curves import History, read_scalars


@dataclass(frozen=True)
class ReportOptions:
    """What to report on.

    Attributes:
        predictions: COCO result list, or a zip with one.
        data_root: Prepared folder.
        split: "train", "val" or "test"; needs true cells.
        work_dir: Of the training; None leaves out curves, config and log.
        score_threshold: Least score of a prediction where scores do not rank.
        images: Most images in the browser.
        samples: Number of bootstrap samples.
        seed: Of the samples.
    """

    predictions: Path
    data_root: Path
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

    Args:
        options: What to report on.
        out: HTML file to write; its folder exists. An older report there is replaced.

    Raises:
        FileNotFoundError: A file or folder that is named does not exist.
        ValueError: A file is not what it should be, or the split has no true cells.
    """
    if options.work_dir is not None and not options.work_dir.is_dir():
        raise MissingFileError(
            f"The work dir {options.work_dir} does not exist: name the folder of a training, or "
            "leave it out."
        )
    if not out.parent.is_dir():
        raise MissingFileError(f"The folder {out.parent} does not exist: make it, or change --out.")
    # A process id in the names: two reports at once do not meet.
    page = out.with_name(f".{out.name}.{os.getpid()}")
    folder = figures_folder(out)
    figures = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        figures.mkdir()
        page.write_text(_compose(options, figures), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        figures.rename(folder)
        page.replace(out)
    finally:
        page.unlink(missing_ok=True)
        shutil.rmtree(figures, ignore_errors=True)


def _compose(options: ReportOptions, figures: Path) -> str:
    """The page; its figures are written into the folder."""
    data_root, work_dir = options.data_root, options.work_dir
    annotations = read_annotations(data_root / "annotations" / f"{options.split}.json")
    if not any(annotations.cells.values()):
        raise UserError(
            f"{annotations.source} holds no true cells to compare with: choose another --split."
        )
    predictions = load_predictions(options.predictions, annotations)
    threshold = options.score_threshold
    analysis = analyse_errors(annotations, predictions, threshold)
    units = resampling_units(annotations.images.values())
    metrics = metric_intervals(
        analysis.matches, analysis.classes, units, options.samples, options.seed
    )

    chosen = choose_images(analysis.images, options.images)
    browser = browser_data(chosen, analysis, annotations, predictions, data_root)
    worst = draw_worst_cells(analysis.worst, annotations, predictions, data_root)
    history = History() if work_dir is None else read_scalars(work_dir)
    record = RunRecord() if work_dir is None else read_run_record(work_dir)

    with figure_style():
        curves, analyses = learning_figures(history), analysis_figures(analysis)
        sheet = contact_sheet(worst)
        write_figures(
            curves | analyses | ({} if sheet is None else {"worst_cells": sheet}), figures
        )
        parts = [
            Section("results", "Results", sections.results_section(metrics, analysis, threshold)),
            Section(
                "training",
                "Training",
                sections.training_section(
                    history, curves, record, None if work_dir is None else str(work_dir)
                ),
            ),
            Section(
                "errors",
                "Errors",
                sections.errors_section(
                    analysis,
                    analyses,
                    {score.image_id: place for place, score in enumerate(chosen)},
                    worst,
                ),
            ),
            Section("images", "Images", sections.images_section(browser, len(annotations.images))),
            Section(
                "data",
                "Data",
                sections.data_section(summarize_dataset(data_root), options.split),
            ),
            Section(
                "run",
                "Config and machine",
                sections.run_section(record, this_machine(), package_versions()),
            ),
        ]
    cells = sum(map(len, annotations.cells.values()))
    name = options.predictions.stem if work_dir is None else work_dir.resolve().name
    lead = (
        f"{len(predictions):,} predictions from {options.predictions.name} against {cells:,} true "
        f"cells in {len(annotations.images):,} images ({options.split} of {data_root})."
    )
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    footer = f"Written by cellseg-mm on {now}. Figures as PNG and SVG lie beside this file."
    return render_page(f"Cell segmentation report: {name}", lead, parts, browser, footer)
