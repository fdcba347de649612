"""The tables of an ablation: scores with error bars, paired differences and costs."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellseg_mm.ablation.paired_bootstrap import PairedDifference, paired_difference
from cellseg_mm.ablation.run_result import RunResult
from cellseg_mm.files.atomic_write import atomic_write

SCORES = {
    "mAP": "segm_mAP",
    "AP50": "segm_mAP_50",
    "AP75": "segm_mAP_75",
    "AP50 at 100": "segm_mAP_50_dets100",
}
_NOTHING = "–"
_LATEX = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"±": r"$\pm$", "–": "--", "×": r"$\times$", "Δ": r"$\Delta$", "−": "$-$", "≥": r"$\ge$"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Heading.
        header: Names of the columns.
        rows: Cells; the first column is text, the others numbers.
        notes: What a reader must know, one sentence or more each.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """As Markdown."""
        cells = [[cell.replace("|", r"\|") for cell in row] for row in (self.header, *self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        lines = [_pad(cells[0], widths)]
        lines.append(
            "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
        )
        lines += [_pad(row, widths) for row in cells[1:]]
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"## {self.title}\n\n" + "\n".join(lines) + "\n" + notes

    def latex(self) -> str:
        """As a LaTeX ``table``, for the package ``booktabs``."""
        lines = [r"\begin{table}", r"\centering"]
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}", r"\toprule"]
        lines += [_latex_row(self.header), r"\midrule", *map(_latex_row, self.rows), r"\bottomrule"]
        caption = " ".join([f"{self.title}.", *self.notes])
        lines += [r"\end{tabular}", rf"\caption{{{_escape(caption)}}}", r"\end{table}"]
        return "\n".join(lines) + "\n"


def build_tables(title: str, results: Sequence[RunResult]) -> list[Table]:
    """The tables of an ablation: scores, differences, cost and, if there are any, failures.

    Args:
        title: Title of the ablation.
        results: All runs, row by row; rows in the order of the ladder.
    """
    rows = _by_row(results)
    tables = [_score_table(title, rows), _difference_table(rows), _cost_table(rows)]
    failures = [r for r in results if r.error]
    if failures:
        lines = [[r.row, _text(r.fold), str(r.seed), str(r.error)] for r in failures]
        tables.append(Table("Failed runs", ["row", "fold", "seed", "why"], lines))
    return tables


def write_tables(tables: Sequence[Table], results: Sequence[RunResult], out: Path) -> None:
    """Write ``table.md``, ``table.tex`` and ``table.csv``, each of them whole or not at all."""
    _write(out / "table.md", "\n".join(table.markdown() for table in tables))
    _write(out / "table.tex", "\n".join(table.latex() for table in tables))
    _write(out / "table.csv", csv_text(results))


def csv_text(results: Sequence[RunResult]) -> str:
    """All numbers for programs: one line a row of the ladder, at full precision."""
    rows = _by_row(results)
    names = list(rows)
    buffer = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for index, name in enumerate(names):
        runs = rows[name]
        record: dict[str, Any] = {"row": name, "runs": len(_done(runs)), "planned": len(runs)}
        for label, key in SCORES.items():
            values = _values(runs, key)
            record[f"{label}_mean"] = statistics.fmean(values) if values else None
            record[f"{label}_std"] = statistics.stdev(values) if len(values) > 1 else None
        for against, other in (("previous", _compared_with(rows, index)), ("first", names[0])):
            for label, key in SCORES.items():
                found = _difference(rows[other], runs, key) if index else None
                for part in ("mean", "low", "high", "pairs"):
                    value = getattr(found, part) if found else None
                    record[f"{label}_minus_{against}_{part}"] = value
        record |= _cost(runs)
        if writer is None:
            writer = csv.DictWriter(buffer, list(record), lineterminator="\n")
            writer.writeheader()
        writer.writerow(record)
    return buffer.getvalue()


def progress_text(results: Sequence[RunResult]) -> str:
    """How far each row is, as lines of equal columns."""
    lines: list[tuple[str, ...]] = [("row", "done", "failed", "waiting", "mAP")]
    for name, runs in _by_row(results).items():
        done, failed = len(_done(runs)), sum(r.state == "failed" for r in runs)
        waiting = len(runs) - done - failed
        lines.append((name, *map(str, (done, failed, waiting)), _spread(_values(runs, "segm_mAP"))))
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    )


def _score_table(title: str, rows: Mapping[str, Sequence[RunResult]]) -> Table:
    lines = []
    for name, runs in rows.items():
        scores = [_spread(_values(runs, key)) for key in SCORES.values()]
        lines.append([name, *scores, f"{len(_done(runs))}/{len(runs)}"])
    folds = {r.fold for runs in rows.values() for r in runs}
    over = "seeds" if folds == {None} else f"{len(folds)} folds and the seeds"
    note = (
        "Mask AP on the validation images, of the best epoch, or of the last one of a training "
        "without validation: COCO's, with up to 1,000 detections an image and class, and at COCO's "
        f"own cap of 100; mean ± standard deviation over the {over}; no deviation for a single run."
    )
    return Table(title, ["row", *SCORES, "runs"], lines, [note])


def _difference_table(rows: Mapping[str, Sequence[RunResult]]) -> Table:
    names = list(rows)
    header = ["row", *(f"Δ {label} to {to}" for to in ("previous", "first") for label in SCORES)]
    lines = []
    for index, name in enumerate(names[1:], start=1):
        cells = [
            _interval(_difference(rows[other], rows[name], key))
            for other in (_compared_with(rows, index), names[0])
            for key in SCORES.values()
        ]
        lines.append([name, *cells, str(len(_pairs(rows[names[0]], rows[name], "segm_mAP")))])
    notes = [
        "Mean of the differences between runs of the same fold and seed, with a 95 % percentile "
        "bootstrap interval. Resampled are these pairs of runs (10,000 times), not images; with "
        "fewer than about ten pairs the interval is too narrow, and a single pair has none.",
    ]
    if any(run.weights_of for runs in rows.values() for run in runs):
        notes.append("A row that tests another row's weights has that row for its previous one.")
    return Table("Paired differences", [*header, "pairs"], lines, notes)


def _cost_table(rows: Mapping[str, Sequence[RunResult]]) -> Table:
    lines = []
    kinds: set[str] = set()
    devices: set[str] = set()
    sizes: set[str] = set()
    for name, runs in rows.items():
        cost = _cost(runs)
        kinds |= {r.training["memory"] for r in runs if "memory" in r.training}
        devices |= {r.training["device"] for r in runs if "device" in r.training}
        sizes |= {"×".join(map(str, r.model["input_size"])) for r in runs if r.model}
        batch = next((r.batch for r in runs if r.batch), None)
        lines.append(
            [
                name,
                _number(cost["parameters"], 1e6, ".2f"),
                _number(cost["trainable"], 1e6, ".2f"),
                _number(cost["gflops"], 1, ".2f"),
                _number(cost["epochs"], 1, ".1f"),
                _duration(cost["train_seconds"]),
                _duration(cost["test_seconds"]),
                _number(cost["peak_bytes"], 2**30, ".2f"),
                batch[:8] if batch else _NOTHING,
            ]
        )
    notes = [
        f"GFLOPs: multiply-adds of backbone, neck and RPN for one image of "
        f"{' or '.join(sorted(sizes)) or _NOTHING} pixels, one multiply-add counted as one; the "
        "heads on regions are not counted, their work depends on the number of cells.",
        "Training: epochs without validation, mean over the runs; – where another row's weights "
        "are tested. Test: the command, start of Python included. Memory: most of any training; "
        f"{_memory(kinds)}. Measured on: {', '.join(sorted(devices)) or _NOTHING}.",
        "First batch: start of the digest of the first augmented batch; its picture is "
        "`first_batch.png` in the run's folder.",
    ]
    header = ["row", "parameters (M)", "trainable (M)", "GFLOPs", "epochs", "training (h:mm:ss)"]
    return Table("Cost", [*header, "test (h:mm:ss)", "memory (GiB)", "first batch"], lines, notes)


def _memory(kinds: Iterable[str]) -> str:
    words = {
        "GPU": "what torch held on the GPU",
        "process": "resident memory of the training process, without loader workers",
    }
    return " or ".join(words[kind] for kind in sorted(kinds)) or "not measured"


def _cost(runs: Sequence[RunResult]) -> dict[str, float | None]:
    model: Mapping[str, Any] = next((r.model for r in runs if r.model), {})
    training = [r.training for r in runs if r.training]
    tests = [r.test_seconds for r in runs if r.test_seconds is not None]
    return {
        "parameters": model.get("parameters"),
        "trainable": model.get("trainable"),
        "gflops": model.get("gflops"),
        "epochs": statistics.fmean(t["epochs"] for t in training) if training else None,
        "train_seconds": statistics.fmean(t["seconds"] for t in training) if training else None,
        "test_seconds": statistics.fmean(tests) if tests else None,
        "peak_bytes": max((t["peak_bytes"] for t in training), default=None),
    }


def _by_row(results: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    rows: dict[str, list[RunResult]] = {}
    for result in results:
        rows.setdefault(result.row, []).append(result)
    return rows


def _compared_with(rows: Mapping[str, Sequence[RunResult]], index: int) -> str:
    """The row that a row is compared with as the previous one."""
    names = list(rows)
    return rows[names[index]][0].weights_of or names[max(index - 1, 0)]


def _done(runs: Sequence[RunResult]) -> list[RunResult]:
    return [run for run in runs if run.state == "done"]


def _values(runs: Sequence[RunResult], key: str) -> list[float]:
    found = (run.scores.get(key) for run in _done(runs))
    return [value for value in found if value is not None]


def _pairs(
    first: Sequence[RunResult], second: Sequence[RunResult], key: str
) -> list[tuple[float, float]]:
    """Scores of the runs of the same fold and seed that both rows have."""
    before = {run.key: run.scores.get(key) for run in _done(first)}
    pairs = ((before.get(run.key), run.scores.get(key)) for run in _done(second))
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _difference(
    first: Sequence[RunResult], second: Sequence[RunResult], key: str
) -> PairedDifference | None:
    pairs = _pairs(first, second, key)
    return paired_difference([a for a, _ in pairs], [b for _, b in pairs])


def _spread(values: Sequence[float]) -> str:
    if not values:
        return _NOTHING
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def _interval(difference: PairedDifference | None) -> str:
    if difference is None:
        return _NOTHING
    mean = _signed(difference.mean)
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean} [{_signed(difference.low)}, {_signed(difference.high)}]"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _number(value: float | None, unit: float, form: str) -> str:
    return _NOTHING if value is None else format(value / unit, form)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _text(value: object) -> str:
    return _NOTHING if value is None else str(value)


def _pad(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return f"| {first[0].ljust(first[1])} | " + " | ".join(c.rjust(w) for c, w in others) + " |"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escape, cells)) + r" \\"


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
