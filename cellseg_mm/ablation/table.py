"""The tables of an ablation: scores with error bars, paired differences and costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from cellseg_mm.ablation.paired_bootstrap import PairedDifference, paired_difference
from cellseg_mm.ablation.run_result import RunResult
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.files.markdown_table import markdown_table

SCORES = {
    "mAP": "segm_mAP",
    "AP50": "segm_mAP_50",
    "AP75": "segm_mAP_75",
    "AP50 at 100": "segm_mAP_50_dets100",
}
_COST = {
    **{"parameters": "first", "trainable": "first", "gflops": "first", "epochs": "mean"},
    **{"train_seconds": "mean", "test_seconds": "mean", "peak_bytes": "max"},
}
_MEMORY = {
    "GPU": "what torch held on the GPU",
    "process": "resident memory of the training process, without loader workers",
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
        table = markdown_table(self.header, self.rows, numbers=True)
        return f"## {self.title}\n\n{table}\n" + "".join(f"\n{note}\n" for note in self.notes)

    def latex(self) -> str:
        """As a LaTeX ``table``, for the package ``booktabs``."""
        lines = [r"\begin{table}", r"\centering"]
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}", r"\toprule"]
        lines += [_latex_row(self.header), r"\midrule", *map(_latex_row, self.rows), r"\bottomrule"]
        caption = " ".join([f"{self.title}.", *self.notes])
        lines += [r"\end{tabular}", rf"\caption{{{_escape(caption)}}}", r"\end{table}"]
        return "\n".join(lines) + "\n"


def summarize(results: Sequence[RunResult]) -> pd.DataFrame:
    """All numbers of an ablation, a line for each row of the ladder, in its order.

    Columns: `runs` (done) and `planned`; of each score `_mean` and `_std` over the runs, and its
    `_minus_previous` and `_minus_first`, each with the fields of
    :class:`~cellseg_mm.ablation.paired_bootstrap.PairedDifference`; the cost. A row that tests the
    weights of another is compared with that one as the previous. NaN stands for what is not there.
    """
    runs = pd.DataFrame(map(_record, results)).set_index(["row", "fold", "seed"])
    by_row = runs.groupby("row", sort=False)
    table = pd.DataFrame({"runs": by_row["done"].sum().astype(int), "planned": by_row.size()})
    for label in SCORES:
        table[f"{label}_mean"] = by_row[label].mean()
        table[f"{label}_std"] = by_row[label].std()
    rows = list(table.index)
    weights_of = {result.row: result.weights_of for result in results}
    previous = [weights_of[row] or before for row, before in zip(rows, ["", *rows], strict=False)]
    for against, others in (("previous", previous), ("first", rows[:1] * len(rows))):
        for label in SCORES:
            found = [
                paired_difference(_differences(runs[label], other, row) if number else [])
                for number, (row, other) in enumerate(zip(rows, others, strict=True))
            ]
            columns = [f"{label}_minus_{against}_{part}" for part in PairedDifference._fields]
            table[columns] = pd.DataFrame(found, index=table.index)
    return table.join(by_row.agg(_COST))


def build_tables(title: str, results: Sequence[RunResult]) -> list[Table]:
    """The tables of an ablation: scores, differences, cost and, if there are any, failures.

    The results are those of all runs, row by row, in the order of the ladder.
    """
    numbers = summarize(results)
    tables = [
        _score_table(title, numbers, results),
        _difference_table(numbers, results),
        _cost_table(numbers, results),
    ]
    failures = [
        [r.row, _NOTHING if r.fold is None else str(r.fold), str(r.seed), r.error]
        for r in results
        if r.error
    ]
    if failures:
        tables.append(Table("Failed runs", ["row", "fold", "seed", "why"], failures))
    return tables


def write_tables(tables: Sequence[Table], results: Sequence[RunResult], out: Path) -> None:
    """Write ``table.md``, ``table.tex`` and ``table.csv``, each of them whole or not at all."""
    for suffix, text in (
        ("md", "\n".join(table.markdown() for table in tables)),
        ("tex", "\n".join(table.latex() for table in tables)),
        ("csv", csv_text(results)),
    ):
        with atomic_write(out / f"table.{suffix}") as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def csv_text(results: Sequence[RunResult]) -> str:
    """What :func:`summarize` gives, for programs: at full precision, empty where undefined."""
    return str(summarize(results).convert_dtypes().to_csv(lineterminator="\n"))


def progress_text(results: Sequence[RunResult]) -> str:
    """How far each row is, as lines of equal columns."""
    lines = []
    for row, n in summarize(results).iterrows():
        failed = sum(r.state == "failed" for r in results if r.row == row)
        waiting = n["planned"] - n["runs"] - failed
        counts = (f"{count:.0f}" for count in (n["runs"], failed, waiting))
        lines.append([row, *counts, _spread(n, "mAP")])
    header = ["row", "done", "failed", "waiting", "mAP"]
    align = ["left", *["right"] * 4]
    return tabulate(lines, header, tablefmt="plain", colalign=align, disable_numparse=True)


def _score_table(title: str, numbers: pd.DataFrame, results: Sequence[RunResult]) -> Table:
    lines = [
        [row, *(_spread(n, label) for label in SCORES), f"{n['runs']:.0f}/{n['planned']:.0f}"]
        for row, n in numbers.iterrows()
    ]
    folds = {r.fold for r in results}
    over = "seeds" if folds == {None} else f"{len(folds)} folds and the seeds"
    note = (
        "Mask AP on the validation images, of the best epoch, or of the last one of a training "
        "without validation: COCO's, with up to 1,000 detections an image and class, and at COCO's "
        f"own cap of 100; mean ± standard deviation over the {over}; no deviation for a single run."
    )
    return Table(title, ["row", *SCORES, "runs"], lines, [note])


def _difference_table(numbers: pd.DataFrame, results: Sequence[RunResult]) -> Table:
    compared = [(label, against) for against in ("previous", "first") for label in SCORES]
    lines = [
        [
            row,
            *(_interval(n, f"{label}_minus_{against}") for label, against in compared),
            f"{n['mAP_minus_first_pairs']:.0f}",
        ]
        for row, n in numbers.iloc[1:].iterrows()
    ]
    notes = [
        "Mean of the differences between runs of the same fold and seed, with a 95 % percentile "
        "bootstrap interval. Resampled are these pairs of runs (10,000 times), not images; with "
        "fewer than about ten pairs the interval is too narrow, and a single pair has none.",
    ]
    if any(result.weights_of for result in results):
        notes.append("A row that tests another row's weights has that row for its previous one.")
    header = ["row", *(f"Δ {label} to {against}" for label, against in compared), "pairs"]
    return Table("Paired differences", header, lines, notes)


def _cost_table(numbers: pd.DataFrame, results: Sequence[RunResult]) -> Table:
    batches = {r.row: r.batch for r in reversed(results) if r.batch}
    lines = [
        [
            row,
            _number(n["parameters"], 1e6, ".2f"),
            _number(n["trainable"], 1e6, ".2f"),
            _number(n["gflops"], 1, ".2f"),
            _number(n["epochs"], 1, ".1f"),
            _duration(n["train_seconds"]),
            _duration(n["test_seconds"]),
            _number(n["peak_bytes"], 2**30, ".2f"),
            batches.get(row, _NOTHING)[:8],
        ]
        for row, n in numbers.iterrows()
    ]
    sizes = ("×".join(map(str, r.model["input_size"])) for r in results if r.model)
    kinds = {r.training.get("memory") for r in results}
    memory = " or ".join(words for kind, words in _MEMORY.items() if kind in kinds)
    devices = (r.training["device"] for r in results if "device" in r.training)
    notes = [
        "GFLOPs: multiply-adds of backbone, neck and RPN for one image of "
        f"{_distinct(sizes, ' or ') or _NOTHING} pixels, one multiply-add counted as one; the "
        "heads on regions are not counted, their work depends on the number of cells.",
        "Training: epochs without validation, mean over the runs; – where another row's weights "
        "are tested. Test: the command, start of Python included. Memory: most of any training; "
        f"{memory or 'not measured'}. Measured on: "
        f"{_distinct(devices, ', ') or _NOTHING}.",
        "First batch: start of the digest of the first augmented batch; its picture is "
        "`first_batch.png` in the run's folder.",
    ]
    header = ["row", "parameters (M)", "trainable (M)", "GFLOPs", "epochs", "training (h:mm:ss)"]
    return Table("Cost", [*header, "test (h:mm:ss)", "memory (GiB)", "first batch"], lines, notes)


def _record(result: RunResult) -> dict[str, Any]:
    """A run as a line of numbers, NaN where there is none."""
    done = result.state == "done"
    numbers = {label: result.scores.get(key) if done else None for label, key in SCORES.items()}
    training = {"train_seconds": result.training.get("seconds"), **result.training}
    found = {**result.model, **training, "test_seconds": result.test_seconds}
    numbers |= {key: found.get(key) for key in _COST}
    line = {key: float("nan") if value is None else value for key, value in numbers.items()}
    fold = -1 if result.fold is None else result.fold  # an index of pandas holds no None
    return {"row": result.row, "fold": fold, "seed": result.seed, "done": done, **line}


def _differences(scores: pd.Series, first: str, second: str) -> pd.Series:
    """Second minus first, of the runs of the same fold and seed that both rows have."""
    runs = scores.loc[second]
    return (runs - scores.loc[first].reindex(runs.index)).dropna()


def _distinct(texts: Iterable[str], separator: str) -> str:
    return separator.join(sorted(set(texts)))


def _spread(numbers: pd.Series, label: str) -> str:
    mean, deviation = numbers[f"{label}_mean"], numbers[f"{label}_std"]
    if pd.isna(mean):
        return _NOTHING
    return f"{mean:.4f}" if pd.isna(deviation) else f"{mean:.4f} ± {deviation:.4f}"


def _interval(numbers: pd.Series, name: str) -> str:
    mean, low, high = (numbers[f"{name}_{part}"] for part in ("mean", "low", "high"))
    if pd.isna(mean):
        return _NOTHING
    return _signed(mean) if pd.isna(low) else f"{_signed(mean)} [{_signed(low)}, {_signed(high)}]"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _number(value: float, unit: float, form: str) -> str:
    return _NOTHING if pd.isna(value) else format(value / unit, form)


def _duration(seconds: float) -> str:
    if pd.isna(seconds):
        return _NOTHING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escape, cells)) + r" \\"


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
