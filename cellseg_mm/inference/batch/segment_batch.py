"""Segments many images; one that fails costs a row, not the others."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cellseg_mm.errors import UserError, printable
from cellseg_mm.files.atomic_write import atomic_write, remove_unfinished, unfinished_file
from cellseg_mm.inference.batch.batch_options import BatchOptions
from cellseg_mm.inference.batch.executor import Executor
from cellseg_mm.inference.batch.find_images import NamedImage, name_images
from cellseg_mm.inference.batch.image_record import read_finished
from cellseg_mm.inference.batch.image_task import ImageOutcome, ImageTask
from cellseg_mm.inference.batch.job_progress import JobProgress
from cellseg_mm.inference.region_of_interest import read_region_of_interest
from cellseg_mm.inference.results.formats import check_formats
from cellseg_mm.inference.results.run_record import write_run_record
from cellseg_mm.runs.model_bundle import ModelBundle

SUMMARY_FILE = "summary.csv"


class Outcome(NamedTuple):
    """What became of a batch.

    Attributes:
        images: How many there are.
        failed: How many of them failed; the summary says why.
    """

    images: int
    failed: int


def segment_batch(
    paths: Sequence[str | Path],
    out: Path,
    bundle: ModelBundle,
    executor: Executor,
    options: BatchOptions,
    recursive: bool = False,
    resume: bool = False,
) -> Outcome:
    """Segment images and write their results, a summary and ``run.json``.

    What killed runs have left unfinished in the folders of the results is removed.

    Args:
        paths: Images, folders, patterns.
        out: Folder of the results; made if absent.
        bundle: The model.
        executor: Who does the images.
        options: What is asked for.
        recursive: Whether to look into folders inside folders.
        resume: Whether to leave out images that are complete and would come out the same.

    Raises:
        UserError: Nothing can be done: no image, an unknown format, a bad region.
    """
    # Whatever costs nothing is checked before the model is loaded.
    images = name_images(paths, recursive)
    check_formats(options.formats)
    if options.roi is not None:
        read_region_of_interest(options.roi)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: name a folder.")
    out.mkdir(parents=True, exist_ok=True)
    _require_writable(out)
    asked = options.asked(bundle.sha256)
    finished = {
        image.name: found
        for image in images
        if resume and (found := read_finished(out, image.name, image.path, asked)) is not None
    }
    todo = [image for image in images if image.name not in finished]
    table = _Table(images)
    for image in images:
        if image.name in finished:
            table.add(ImageOutcome(image, finished[image.name]))
    folders = {(out / image.name).parent for image in todo}
    progress = JobProgress(len(todo))
    try:
        _remove_unfinished(folders)
        with closing(executor.run(ImageTask(out, options, asked), todo)) as outcomes:
            for outcome in outcomes:
                progress.add(outcome.pixels)
                table.add(outcome, progress)
    finally:
        _remove_unfinished(folders)  # of workers that were killed
    table.write(out / SUMMARY_FILE)
    model = {"name": bundle.name, "sha256": bundle.sha256}
    write_run_record(out / "run.json", model, asdict(options), table.warnings)
    print(f"{out}: {table.last_words(len(finished))}; see {SUMMARY_FILE}")
    return Outcome(len(images), table.failed)


class _Table:
    """What became of the images, in their order, whatever the order in which they were done."""

    def __init__(self, images: Sequence[NamedImage]) -> None:
        self._outcomes: dict[Path, ImageOutcome | None] = {image.name: None for image in images}

    def add(self, outcome: ImageOutcome, progress: JobProgress | None = None) -> None:
        """Note what became of an image, and say it."""
        self._outcomes[outcome.image.name] = outcome
        path, found = outcome.image.path, outcome.found
        more = f" ({progress})" if progress is not None and len(self._outcomes) > 1 else ""
        if found is None:
            _say(f"{path}: {outcome.error}{more}", error=True)
            if outcome.fault:
                _say(outcome.fault, error=True)
            return
        _say(f"{path}: {found['cells']:,} cells in {found['seconds']:.1f} s{more}")
        for warning in found["warnings"]:
            _say(f"  warning: {warning}")

    @property
    def failed(self) -> int:
        """Number of images that failed."""
        return sum(outcome.found is None for outcome in self._known)

    @property
    def warnings(self) -> list[str]:
        """Those of all images."""
        return [
            f"{outcome.image.path}: {warning}"
            for outcome in self._known
            if outcome.found is not None
            for warning in outcome.found["warnings"]
        ]

    def write(self, path: Path) -> None:
        """Write one row an image."""
        rows = [_row(outcome) for outcome in self._known]
        columns = list(dict.fromkeys(key for row in rows for key in row if key != "error"))
        with (
            atomic_write(path) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, [*columns, "error"], restval="")
            writer.writeheader()
            writer.writerows(rows)

    def last_words(self, left_out: int) -> str:
        """One line on the whole batch."""
        found = [outcome.found for outcome in self._known if outcome.found is not None]
        cells, done = sum(f["cells"] for f in found), len(found)
        parts = [f"{cells:,} cells in {done} image{'s' * (done != 1)}"]
        if left_out:
            parts.append(f"{left_out} of them done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    @property
    def _known(self) -> list[ImageOutcome]:
        return [outcome for outcome in self._outcomes.values() if outcome is not None]


def _row(outcome: ImageOutcome) -> Mapping[str, Any]:
    image = str(outcome.image.path)
    if outcome.found is None:
        return {"image": image, "error": outcome.error}
    return {"image": image, **outcome.found, "warnings": " ".join(outcome.found["warnings"])}


def _require_writable(out: Path) -> None:
    try:
        with unfinished_file(out / SUMMARY_FILE):
            pass
    except OSError as error:
        raise UserError(
            f"--out {out} cannot be written to ({error.strerror}): name another folder."
        ) from error


def _remove_unfinished(folders: set[Path]) -> None:
    for folder in folders:
        remove_unfinished(folder, below=False)


def _say(line: str, error: bool = False) -> None:
    tqdm.write(printable(line), file=sys.stderr if error else sys.stdout)
