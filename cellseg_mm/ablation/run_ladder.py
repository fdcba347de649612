"""Train and test what an ablation still lacks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from cellseg_mm.ablation.child_process import run_logged
from cellseg_mm.ablation.first_batches import FirstBatches, record_first_batches
from cellseg_mm.ablation.folds import write_folds
from cellseg_mm.ablation.ladder import Ladder, Row
from cellseg_mm.ablation.model_cost import measure_model
from cellseg_mm.ablation.planned_run import PlannedRun, plan_run, run_data_root
from cellseg_mm.ablation.run_result import RunResult, read_result
from cellseg_mm.errors import UserError
from cellseg_mm.files.folder_lock import folder_lock
from cellseg_mm.runs.last_checkpoint import find_last_checkpoint

_Key = tuple[str, int | None, int]
# Seconds: what a killed run leaves behind notices within 5 that its parent is gone.
_PATIENCE = 15


def run_ladder(
    ladder: Ladder,
    out: Path,
    tools: Path,
    on_change: Callable[[Sequence[RunResult]], None],
    say: Callable[[str], None],
) -> list[RunResult]:
    """Run every row × fold × seed that is not done; go on after a failure. Tells all, row by row.

    All rows of one fold and seed come before the next fold and seed, so that what is there early
    compares like with like. May be killed anywhere: the next call continues.

    Args:
        ladder: The ablation.
        out: Folder of everything.
        tools: Folder of train.py and test.py.
        on_change: Called with all results after each run, and before the first.
        say: Called with a line for people when something begins or fails.

    Raises:
        ValueError: The folds cannot be made, no row can be run at all, or another process is at
            work in ``out``.
    """
    refusal = (
        f"Another process is running the ablation in {out}: wait for it, or name another folder "
        "with --out."
    )
    with folder_lock(out / ".lock", refusal, _PATIENCE):
        folds: Sequence[tuple[int | None, Path | None]] = [(None, None)]
        if ladder.folds is not None:
            folders = write_folds(_common_data_root(ladder), ladder.folds, out / "folds")
            folds = list(enumerate(folders))
        plans, results = _plan(ladder, folds, out / "runs")
        if not plans:
            raise UserError(next(iter(results.values())).error)
        on_change(list(results.values()))

        every = product(ladder.seeds, folds, ladder.rows)
        ordered = [(row.name, fold, seed) for seed, (fold, _), row in every]
        for number, key in enumerate(ordered, start=1):
            if key not in plans:
                continue
            run = plans[key]
            results[key] = _read(run)  # its weights may have been trained anew just now
            if results[key].state == "done":
                continue
            say(f"[{number}/{len(ordered)}] {run.name}: {run.folder}")
            earlier = [plans[k] for k in ordered[: number - 1] if k in plans and k[1:] == key[1:]]
            results[key] = _run(run, earlier, tools)
            if results[key].error:
                say(f"[{number}/{len(ordered)}] {run.name} failed: {results[key].error}")
            on_change(list(results.values()))
        return list(results.values())


def _plan(
    ladder: Ladder, folds: Sequence[tuple[int | None, Path | None]], runs: Path
) -> tuple[dict[_Key, PlannedRun], dict[_Key, RunResult]]:
    """What can be run, and what is known of each run."""
    plans: dict[_Key, PlannedRun] = {}
    results: dict[_Key, RunResult] = {}
    for row, (fold, folder), seed in product(ladder.rows, folds, ladder.seeds):
        key = row.name, fold, seed
        try:
            source = _weights_from(row, fold, seed, plans)
            plans[key] = plan_run(row, fold, folder, seed, ladder.data, runs, source)
            results[key] = _read(plans[key])
        except Exception as error:  # another row may well be in order
            why = _one_line(error)
            results[key] = RunResult(*key, "failed", error=why, weights_of=row.weights_of)
    return plans, results


def _common_data_root(ladder: Ladder) -> Path:
    roots = {run_data_root(row, ladder.data) for row in ladder.rows}
    if len(roots) > 1:
        raise UserError(
            f"The rows use different data sets ({', '.join(sorted(map(str, roots)))}): folds need "
            "a common one; name it with `data` or --data."
        )
    return roots.pop()


def _weights_from(
    row: Row, fold: int | None, seed: int, plans: Mapping[_Key, PlannedRun]
) -> PlannedRun | None:
    if row.weights_of is None:
        return None
    if (row.weights_of, fold, seed) not in plans:
        raise UserError(f"it tests the weights of {row.weights_of!r}, which cannot be run.")
    return plans[row.weights_of, fold, seed]


def _run(run: PlannedRun, earlier: Sequence[PlannedRun], tools: Path) -> RunResult:
    """Bring one run to its end, or to a record of why it failed."""
    try:
        if run.weights_from is not None:
            _take_weights(run, run.weights_from)
        elif "trained_at" not in run.read_record():
            _check_batches(run, earlier)
            _train(run, tools)
            # The time tells one training from another of the same settings.
            now = datetime.now(UTC).isoformat()
            run.write_record(state="trained", trained_at=now, error=None)
        seconds = _test(run, tools)
        run.write_record(state="done", test_seconds=seconds, error=None)
        return _read(run)
    except Exception as error:
        with contextlib.suppress(OSError):  # the disk is full, say
            run.write_record(state="failed", error=_one_line(error))
        return replace(_read(run), state="failed", error=_one_line(error))


def _read(run: PlannedRun) -> RunResult:
    """What there is of a run; nothing, if the weights that it tested are not those of today."""
    record = run.read_record()
    if run.weights_from is not None:
        trained_at = run.weights_from.read_record().get("trained_at")
        if record.get("trained_at") != trained_at:
            record = {}
    return read_result(run.folder, record, run.row, run.fold, run.seed)


def _take_weights(run: PlannedRun, source: PlannedRun) -> None:
    """Prepare a run that tests the checkpoint of another."""
    record = source.read_record()
    if "trained_at" not in record:
        raise UserError(f"it tests the weights of {source.row.name!r}, whose training failed.")
    run.write_config()
    run.write_record(state="trained", trained_at=record["trained_at"], model=record.get("model"))


def _check_batches(run: PlannedRun, earlier: Sequence[PlannedRun]) -> None:
    """Record the first batches and refuse a row whose augmentation does not reach its loader."""
    run.folder.mkdir(parents=True, exist_ok=True)
    record = run.read_record()
    if "first_batches" not in record:
        batches = record_first_batches(run.config, run.folder / "first_batch.png")
        record = run.write_record(
            first_batches=batches._asdict(), model=measure_model(run.config)._asdict()
        )
    own = _batches(record)
    for other in earlier:
        theirs = _batches(other.read_record())
        if own is not None and theirs is not None and own.contradicts(theirs):
            raise UserError(
                f"its training pipeline differs from that of {other.row.name!r}, but the first "
                f"{len(own.hashes)} batches are the same: the augmentation does not reach the "
                "loader."
            )


def _batches(record: dict[str, Any]) -> FirstBatches | None:
    batches = record.get("first_batches")
    return FirstBatches(batches["pipeline"], tuple(batches["hashes"])) if batches else None


def _train(run: PlannedRun, tools: Path) -> None:
    run.write_config()
    command = [sys.executable, str(tools / "train.py"), str(run.config_file)]
    command += ["--work-dir", str(run.folder)]
    if any(run.folder.glob("epoch_*.pth")):
        command += ["--resume"]
    _run_or_raise(command, run.folder / "train.log", "training")


def _test(run: PlannedRun, tools: Path) -> float:
    """Test the run's checkpoint, or that of the run that it tests; seconds that it took."""
    checkpoint = _best_checkpoint((run.weights_from or run).folder)
    command = [sys.executable, str(tools / "test.py"), str(run.config_file), str(checkpoint)]
    command += ["--work-dir", str(run.folder), "--split", "val"]
    start = time.monotonic()
    _run_or_raise(command, run.folder / "test.log", "testing")
    return time.monotonic() - start


def _run_or_raise(command: Sequence[str], log: Path, what: str) -> None:
    code = run_logged(command, log)
    if code == 0:
        return
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    raise RuntimeError(f"{what} {how}: {last.removeprefix('error: ')} (see {log})")


def _best_checkpoint(folder: Path) -> Path:
    """The best checkpoint, or the last one where no validation score was defined."""
    numbered = [
        (int(path.stem.rpartition("_")[2]), path)
        for path in folder.glob("best_*.pth")
        if path.stem.rpartition("_")[2].isdigit()
    ]
    if numbered:
        return max(numbered)[1]
    last = find_last_checkpoint(folder)
    if last is None:
        raise UserError(
            f"there is no checkpoint of the training in {folder}: delete that folder to train anew."
        )
    return last


def _one_line(error: BaseException) -> str:
    """The message of an error; with its kind, where that is needed to understand it."""
    lines = str(error).strip().splitlines() or [""]
    plain = isinstance(error, ValueError | RuntimeError)
    return lines[-1] if plain else f"{type(error).__name__}: {lines[-1]}"
