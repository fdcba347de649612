"""Kills of every tool at random times: nothing half-written, and a rerun ends as if undisturbed."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from stress.material import CONFIG, SMALL, Material
from stress.tally import Tally
from stress.tool_process import Outcome, run_tool

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

_COLD_SHARE = 0.4
"""Of kills: those of a Python started anew, while it imports, or soon after."""

_IMPORT_SECONDS = 4

# MMEngine's log folders, named after the second, and what notes how many seconds something took.
_LOGS = re.compile(r"(.*/)?([0-9]{8}_[0-9]{6}(/.*)?|(.*_)?run\.json|summary\.csv)")
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} \w+")


@dataclass(frozen=True)
class Job:
    """A command whose files are compared with those of a run that was left in peace.

    Attributes:
        script: The tool.
        arguments: Its arguments, given the folder that it writes to.
    """

    script: str
    arguments: Callable[[Path], Iterable[object]]

    def run(
        self, out: Path, kill: tuple[signal.Signals, float] | None = None, cold: bool = False
    ) -> Outcome:
        """Run it."""
        return run_tool(self.script, *self.arguments(out), seconds=300, kill=kill, cold=cold)


def light_jobs(material: Material) -> dict[str, Job]:
    """Jobs that need no trained model."""
    val, found = material.cell / "annotations/val.json", material.run / "found.json"
    report = ("--predictions", found, "--data", material.cell, "--bootstrap", 20, "--images", 2)
    return {
        "synthesize": Job(
            "data_prep/synthesize.py",
            lambda out: (out / "raw", "--images", 8, "--test-images", 2, "--size", 96),
        ),
        "prepare": Job(
            "data_prep/prepare.py",
            lambda out: (material.raw, "--out", out / "cell", "--workers", 1,
                         "--val-fraction", 0.5),
        ),
        "convert": Job(
            "data_prep/convert.py", lambda out: ("monusac", material.monusac, out / "converted")
        ),
        "analyze": Job(
            "tools/analyze_dataset.py", lambda out: (material.cell, "--out", out / "analysis")
        ),
        "ensemble": Job(
            "tools/ensemble.py",
            lambda out: (found, found, "--ann-file", val, "--out", out / "fused.json"),
        ),
        "report": Job("tools/report.py", lambda out: (*report, "--out", out / "report.html")),
    }  # fmt: skip


def model_jobs(material: Material) -> dict[str, Job]:
    """Jobs of the trained model; training itself is :func:`kill_training`."""
    images = sorted((material.cell / "images/train").iterdir())

    def test(out: Path, *more: object) -> tuple[object, ...]:
        return (CONFIG, material.checkpoint, "--work-dir", out, *more, *material.options)

    return {
        "test": Job("tools/test.py", lambda out: test(out, "--dump", out / "found.json")),
        "submission": Job("tools/test.py", lambda out: test(out, "--submission", out / "s.zip")),
        "segment": Job(
            "cellseg_mm/__main__.py",
            lambda out: ("segment", *images, "--model", material.checkpoint, "--out", out,
                         "--min-score", 0.01, "--mpp", 0.25, "--device", "cpu", "--resume"),
        ),
    }  # fmt: skip


class KillAttack:
    """Kills one job again and again.

    Args:
        name: Name of the job.
        job: What is killed.
        folder: Folder of its output.
        tally: Where to count.
    """

    def __init__(self, name: str, job: Job, folder: Path, tally: Tally) -> None:
        self._name, self._job, self._tally = name, job, tally
        self._out = folder / name
        outcome = self._fresh_run()
        if outcome.code:
            raise RuntimeError(f"{outcome.command} failed:\n{outcome.output}")
        self._seconds = outcome.seconds
        self._whole = digests(self._out)

    def _fresh_run(
        self, kill: tuple[signal.Signals, float] | None = None, cold: bool = False
    ) -> Outcome:
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir(parents=True)
        return self._job.run(self._out, kill, cold)

    def __call__(self, rng: random.Random) -> None:
        """Kill it once, check what it left, and run it again."""
        sent, cold = rng.choice(SIGNALS), rng.random() < _COLD_SHARE
        last = _IMPORT_SECONDS if cold else 1.1 * self._seconds
        outcome = self._fresh_run((sent, rng.uniform(0, last)), cold)
        attack = f"{sent.name} to {self._name}{', at its imports' if cold else ''}"
        self._tally.judge(attack, outcome, sent)
        if more := differences(digests(self._out), self._whole):
            self._tally.fault("half-written", attack, outcome, more)
        hidden = list(self._out.rglob(".*"))
        if hidden and sent != signal.SIGKILL:
            self._tally.fault("left behind", attack, outcome, f"{hidden[0]} was left")
        again = self._job.run(self._out)
        self._tally.judge(f"rerun of {self._name} after a kill", again)
        found = digests(self._out)
        if more := differences(found, self._whole) or differences(self._whole, found):
            self._tally.fault("different", attack, again, more)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under its final name, by path; without logs."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if path.is_file() and not hidden and not _LOGS.fullmatch(name):
            found[name] = hashlib.sha256(_DATE.sub(b"", path.read_bytes())).hexdigest()
    return found


def differences(found: Mapping[str, str], whole: Mapping[str, str]) -> str:
    """The first file that is not as in an undisturbed run; "" if there is none."""
    for name, digest in found.items():
        if whole.get(name) != digest:
            return f"{name} differs from an undisturbed run's"
    return ""


def kill_training(material: Material, folder: Path, tally: Tally, rng: random.Random) -> None:
    """One training that is killed a few times, is resumed each time, and ends as if it was not.

    Its checkpoints must be whole at any time, its last weights those of `material`.
    """
    out = folder / "train"
    shutil.rmtree(out, ignore_errors=True)
    options = ("--cfg-options", f"data_root={material.cell}", *SMALL)
    command = ("tools/train.py", CONFIG, "--work-dir", out, "--resume", *options)
    for _ in range(4):
        sent, cold = rng.choice(SIGNALS), rng.random() < _COLD_SHARE
        attack = f"{sent.name} to train{', at its imports' if cold else ''}"
        last = _IMPORT_SECONDS if cold else 12
        outcome = run_tool(*command, kill=(sent, rng.uniform(0, last)), seconds=300, cold=cold)
        tally.judge(attack, outcome, sent)
        if damaged := damaged_checkpoint(out):
            tally.fault("half-written", attack, outcome, f"{damaged} cannot be read")
    outcome = run_tool(*command, seconds=600)
    tally.judge("resumed to the end", outcome)
    if outcome.code == 0 and (more := other_weights(out / "epoch_2.pth", material.checkpoint)):
        tally.fault("different", "resumed to the end", outcome, more)
    if hidden := [path for path in out.rglob(".*") if path.suffix == ".pth"]:
        tally.fault("left behind", "resumed to the end", outcome, f"{hidden[0]} was left")


def damaged_checkpoint(work_dir: Path) -> Path | None:
    """A checkpoint under its final name that cannot be read."""
    from cellseg_mm.errors import UserError
    from cellseg_mm.files.checkpoint_file import read_checkpoint

    for path in work_dir.glob("*.pth"):
        try:
            read_checkpoint(path)
        except UserError:
            return path
    return None


def other_weights(found: Path, expected: Path) -> str:
    """How the weights of two checkpoints differ; "" if they do not."""
    from cellseg_mm.files.checkpoint_file import read_checkpoint

    first, second = (read_checkpoint(path)["state_dict"] for path in (found, expected))
    differ = [name for name, value in first.items() if not torch.equal(value, second[name])]
    return f"{len(differ)} of {len(first)} weights differ" if differ else ""
