"""Segments many images; one that fails costs a row, not the others."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cellseg_mm.errors import UserError, printable
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.inference.batch.find_images import NamedImage, name_images
from cellseg_mm.inference.batch.image_record import read_finished, write_record
from cellseg_mm.inference.region_of_interest import read_region_of_interest
from cellseg_mm.inference.results.formats import check_formats, result_paths, write_results
from cellseg_mm.inference.results.run_record import write_run_record
from cellseg_mm.runs.model_bundle import ModelBundle

SUMMARY_FILE = "summary.csv"


@dataclass(frozen=True)
class BatchOptions:
    """What is asked for; results depend on nothing else but the images and the model's weights.

    Attributes:
        formats: Names of :data:`~cellseg_mm.inference.results.formats.FORMATS`.
        mpp: µm per pixel of the images; None = what each file says.
        min_score: Least score of a cell; None = the model's own, by class.
        tissue: Whether to look only where tissue is, in large images.
        roi: GeoJSON of the polygons to look inside, or None.
        channel_order: Of the files, "rgb" or "bgr".
    """

    formats: tuple[str, ...]
    mpp: float | None = None
    min_score: float | None = None
    tissue: bool = True
    roi: Path | None = None
    channel_order: str = "rgb"


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
    load: Callable[[], Any],
    options: BatchOptions,
    recursive: bool = False,
    resume: bool = False,
) -> Outcome:
    """Segment images and write their results, a summary and ``run.json``.

    Args:
        paths: Images, folders, patterns.
        out: Folder of the results; made if absent.
        bundle: The model.
        load: Makes the ``CellSegmenter``; called when the first image needs it.
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
    asked = {
        "model": bundle.sha256,
        "options": {
            **asdict(options),
            "roi": None if options.roi is None else options.roi.read_text(encoding="utf-8-sig"),
        },
    }
    finished = {
        image.name: found
        for image in images
        if resume and (found := read_finished(out, image.name, image.path, asked)) is not None
    }
    batch = _Batch(out, options, asked, len(images))
    segmenter = None
    for image in images:
        if image.name in finished:
            batch.add(image, finished[image.name])
            continue
        segmenter = segmenter or load()
        batch.segment(segmenter, image)
    batch.write({"name": bundle.name, "sha256": bundle.sha256})
    print(batch.last_words(len(finished)))
    return Outcome(len(images), batch.failed)


class _Batch:
    """The images that are done, and the rows of the summary."""

    def __init__(
        self, out: Path, options: BatchOptions, asked: Mapping[str, Any], total: int
    ) -> None:
        self.failed = 0
        self._out = out
        self._options = options
        self._asked = asked
        self._total = total
        self._cells = 0
        self._rows: list[dict[str, Any]] = []
        self._warnings: list[str] = []

    def segment(self, segmenter: Any, image: NamedImage) -> None:
        """Segment an image and write its results, or say why not."""
        try:
            found = self._segment(segmenter, image)
        except (UserError, OSError) as error:
            self.failed += 1
            sentence = printable(str(error))
            self._rows.append({"image": str(image.path), "error": sentence})
            self._say(f"{image.path}: {sentence}", error=True)
        else:
            self.add(image, found)

    def add(self, image: NamedImage, found: Mapping[str, Any]) -> None:
        """Count an image that is done."""
        self._cells += found["cells"]
        self._warnings += [f"{image.path}: {warning}" for warning in found["warnings"]]
        row = {"image": str(image.path), **found, "warnings": " ".join(found["warnings"])}
        self._rows.append(row)
        self._say(f"{image.path}: {found['cells']:,} cells in {found['seconds']:.1f} s")
        for warning in found["warnings"]:
            self._say(f"  warning: {warning}")

    def write(self, model: Mapping[str, Any]) -> None:
        """Write the summary and the record of the run."""
        columns = list(dict.fromkeys(key for row in self._rows for key in row if key != "error"))
        with (
            atomic_write(self._out / SUMMARY_FILE) as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, [*columns, "error"], restval="")
            writer.writeheader()
            writer.writerows(self._rows)
        write_run_record(self._out / "run.json", model, asdict(self._options), self._warnings)

    def last_words(self, left_out: int) -> str:
        """One line on the whole batch."""
        done = len(self._rows) - self.failed
        parts = [f"{self._cells:,} cells in {done} image{'s' * (done != 1)}"]
        if left_out:
            parts.append(f"{left_out} of them done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return f"{self._out}: {', '.join(parts)}; see {SUMMARY_FILE}"

    def _segment(self, segmenter: Any, image: NamedImage) -> dict[str, Any]:
        options, start = self._options, time.perf_counter()
        folder = (self._out / image.name).parent
        with segmenter.open(
            image.path,
            mpp=options.mpp,
            roi=options.roi,
            tissue=options.tissue,
            channel_order=options.channel_order,
            name=image.name.name,
        ) as job:
            title = f"{len(self._rows) + 1}/{self._total} {image.name}"
            with tqdm(
                total=job.tiles, desc=title, unit="tile", leave=False, disable=None
            ) as progress:
                cells = job.cells(options.min_score, on_tile=progress.update)
                counts = write_results(cells, folder, job.image, options.formats)
            summary = counts.summary(job.analysed_pixels)
            found = {
                # Not a number: the scale is unknown.
                **{k: v if v == v else None for k, v in summary.items() if k != "image"},
                "seconds": round(time.perf_counter() - start, 2),
                "warnings": list(job.image.warnings),
            }
        written = [
            path for path in result_paths(folder, image.name.name, options.formats) if path.exists()
        ]
        write_record(self._out, image.name, image.path, self._asked, written, found)
        return found

    @staticmethod
    def _say(line: str, error: bool = False) -> None:
        tqdm.write(printable(line), file=sys.stderr if error else sys.stdout)
