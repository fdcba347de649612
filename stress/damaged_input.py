"""Damaged files for everything that reads files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from stress.material import CONFIG, Material
from stress.mutations import (
    cut_short,
    damage_bytes,
    damage_gzip,
    damage_json,
    damage_xml,
    damage_zip,
)
from stress.tally import Tally
from stress.tool_process import Outcome, run_reader, run_tool

Attack = Callable[[random.Random], None]

_DAMAGE = {
    **{".json": damage_json, ".geojson": damage_json, ".gz": damage_gzip},
    **{".xml": damage_xml, ".zip": damage_zip},
}


def damage_file(path: Path, rng: random.Random) -> None:
    """Damage a file as its kind deserves, or remove, empty or exchange it."""
    if rng.random() < 0.06:
        path.unlink()
        if rng.random() < 0.5:
            path.mkdir()
        return
    damage = _DAMAGE.get(path.suffix, damage_bytes)
    if rng.random() < 0.2:
        damage = cut_short
    path.write_bytes(damage(path.read_bytes(), rng))


def damage_one_of(folder: Path, pattern: str, rng: random.Random) -> str:
    """Damage one file of a folder; returns its path in it."""
    path = rng.choice(sorted(path for path in folder.glob(pattern) if path.is_file()))
    damage_file(path, rng)
    return path.relative_to(folder).as_posix()


class DamagedInput:
    """Attacks with damaged input.

    Args:
        material: What is damaged, in copies.
        folder: Folder of the copies and of the tools' output.
        tally: Where to count.
    """

    def __init__(self, material: Material, folder: Path, tally: Tally) -> None:
        self._material, self._tally = material, tally
        self._copy, self._out = folder / "damaged", folder / "out"

    def light_attacks(self) -> dict[str, Attack]:
        """Those that take well under a second."""
        return {
            "raw data set": self.raw,
            "MoNuSAC download": self.monusac,
            "image": self.image,
            "image cut short": self.image_cut_short,
            "predictions": self.predictions,
            "submission": self.submission,
            "list of test images": self.test_list,
            "annotations": self.annotations,
            "prepared data set": self.prepared,
        }

    def model_attacks(self) -> dict[str, Attack]:
        """Those that run a model, or read what a training wrote."""
        return {
            "checkpoint": self.checkpoint,
            "work dir": self.work_dir,
            "data set to test": self.data_to_test,
        }

    def _fresh(self, source: Path) -> Path:
        for path in (self._copy, self._out):
            shutil.rmtree(path, ignore_errors=True)
        self._out.mkdir(parents=True)
        target = self._copy / source.name
        self._copy.mkdir()
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        return target

    def _judge(self, attack: str, outcome: Outcome, results: Iterable[str] = ()) -> None:
        """Count; what was refused leaves no result and no unfinished file."""
        done = self._tally.judge(f"damaged {attack}", outcome)
        left = [path.name for path in self._out.iterdir() if path.name.startswith(".")]
        if not done:
            left += [name for name in results if (self._out / name).exists()]
        if left:
            kind = "left behind" if left[0].startswith(".") else "half-written"
            self._tally.fault(kind, attack, outcome, f"{left[0]} was left")

    def raw(self, rng: random.Random) -> None:
        """A file of a raw data set, for prepare.py."""
        raw = self._fresh(self._material.raw)
        if rng.random() < 0.15:
            _rearrange(raw, rng)
        else:
            damage_one_of(raw, "**/*", rng)
        arguments = (raw, "--out", self._out / "cell", "--workers", 1, "--val-fraction", 0.5)
        self._judge("raw data set", run_tool("data_prep/prepare.py", *arguments), ["cell"])

    def monusac(self, rng: random.Random) -> None:
        """An image or an XML of a MoNuSAC download."""
        source = self._fresh(self._material.monusac)
        damage_one_of(source, rng.choice(("*/*.xml", "*/*.xml", "*/*.tif")), rng)
        outcome = run_tool("data_prep/convert.py", "monusac", source, self._out / "raw")
        self._judge("MoNuSAC download", outcome, ["raw"])

    def image(self, rng: random.Random) -> None:
        """An image of any format, for `cellseg segment`'s readers."""
        path = rng.choice(sorted(self._material.images.iterdir()))
        damaged = self._fresh(path)
        damage_file(damaged, rng)
        outcome = run_reader(lambda: read_all(damaged), f"open_image({path.name})")
        self._judge("image", outcome)

    def image_cut_short(self, rng: random.Random) -> None:
        """The beginning of an image: refused, unless only what is no pixel is missing."""
        path = rng.choice(sorted(self._material.images.iterdir()))
        damaged = self._fresh(path)
        damaged.write_bytes(cut_short(path.read_bytes(), rng))
        # How the pixels are compared needs no fork: they are read there.
        found = self._out / "pixels"
        outcome = run_reader(
            lambda: found.write_bytes(read_all(damaged)), f"open_image({path.name}, cut short)"
        )
        self._tally.judge("image cut short", outcome)
        if outcome.code == 0 and found.read_bytes() != read_all(path):
            self._tally.fault("different", "image cut short", outcome, f"{damaged.stat().st_size}")

    def predictions(self, rng: random.Random) -> None:
        """A file of predictions, for ensemble.py or report.py."""
        found = self._fresh(self._material.run / "found.json")
        damage_file(found, rng)
        if rng.random() < 0.7:
            self._ensemble(found, self._material.cell / "annotations/val.json", "predictions")
        else:
            self._report(found, self._material.cell, "predictions")

    def annotations(self, rng: random.Random) -> None:
        """A COCO file, for ensemble.py or analyze_dataset.py."""
        cell = self._fresh(self._material.cell)
        damage_file(cell / "annotations/val.json", rng)
        if rng.random() < 0.5:
            found = self._material.run / "found.json"
            self._ensemble(found, cell / "annotations/val.json", "annotations")
        else:
            self._analyze(cell, "annotations")

    def prepared(self, rng: random.Random) -> None:
        """Any file of a prepared data set, for what reads or replaces it."""
        cell = self._fresh(self._material.cell)
        damage_one_of(cell, "**/*", rng)
        match rng.randrange(4):
            case 0:
                arguments = (self._material.raw, "--out", cell, "--workers", 1)
                outcome = run_tool("data_prep/prepare.py", *arguments, "--val-fraction", 0.5)
                self._judge("prepared data set", outcome)
            case 1:
                self._report(self._material.run / "found.json", cell, "prepared data set")
            case 2:
                arguments = (CONFIG, "--num", 4, "--out", self._out / "samples.html")
                options = [o.replace(str(self._material.cell), str(cell)) for o in self._options]
                outcome = run_tool("tools/browse_dataset.py", *arguments, *options)
                self._judge("prepared data set", outcome, ["samples.html"])
            case _:
                self._analyze(cell, "prepared data set")

    def submission(self, rng: random.Random) -> None:
        """A submission, for validate_submission.py."""
        path = self._fresh(self._material.run / "submission.zip")
        damage_file(path, rng)
        images = self._material.raw / "test_image_name_to_ids.json"
        self._judge("submission", run_tool("tools/validate_submission.py", path, images))

    def test_list(self, rng: random.Random) -> None:
        """The list of test images, for validate_submission.py."""
        images = self._fresh(self._material.raw / "test_image_name_to_ids.json")
        damage_file(images, rng)
        path = self._material.run / "submission.zip"
        self._judge("list of test images", run_tool("tools/validate_submission.py", path, images))

    def checkpoint(self, rng: random.Random) -> None:
        """A checkpoint, read by the one loader that there is."""
        path = self._fresh(self._material.checkpoint)
        damage_file(path, rng)

        def read() -> None:
            from cellseg_mm.files.checkpoint_file import read_checkpoint

            read_checkpoint(path)

        self._judge("checkpoint", run_reader(read, "read_checkpoint"))

    def work_dir(self, rng: random.Random) -> None:
        """Logs, scores and config of a training, for report.py."""
        run = self._fresh(self._material.run)
        damage_one_of(run, "**/*.[!p]*", rng)  # all but checkpoints, pictures and Python
        arguments = (run, "--predictions", run / "found.json", "--data", self._material.cell)
        self._run_report(arguments, "work dir")

    def data_to_test(self, rng: random.Random) -> None:
        """An image or a label of a prepared data set, for test.py and train.py."""
        cell = self._fresh(self._material.cell)
        damage_one_of(cell, rng.choice(("images/train/*", "labels/*", "annotations/*")), rng)
        options = [o.replace(str(self._material.cell), str(cell)) for o in self._options]
        if rng.random() < 0.5:
            arguments = ("tools/test.py", CONFIG, self._material.checkpoint)
        else:
            arguments = ("tools/train.py", CONFIG)
        outcome = run_tool(*arguments, "--work-dir", self._out / "run", *options)
        self._judge("data set to test", outcome)

    @property
    def _options(self) -> tuple[str, ...]:
        return self._material.options

    def _ensemble(self, found: Path, annotations: Path, attack: str) -> None:
        arguments = (found, "--ann-file", annotations, "--out", self._out / "fused.json")
        self._judge(attack, run_tool("tools/ensemble.py", *arguments), ["fused.json"])

    def _analyze(self, cell: Path, attack: str) -> None:
        outcome = run_tool("tools/analyze_dataset.py", cell, "--out", self._out / "analysis")
        self._judge(attack, outcome, ["analysis/dataset.png"])

    def _report(self, found: Path, cell: Path, attack: str) -> None:
        self._run_report(("--predictions", found, "--data", cell), attack)

    def _run_report(self, arguments: Iterable[object], attack: str) -> None:
        more = ("--bootstrap", 3, "--images", 2, "--out", self._out / "report.html")
        self._judge(attack, run_tool("tools/report.py", *arguments, *more), ["report.html"])


def read_all(path: Path) -> bytes:
    """Every pixel of an image."""
    from cellseg_mm.readers.open_image import open_image

    with open_image(path) as image:
        pixels: bytes = image.read(0, 0, image.width, image.height).numpy().tobytes()
    return pixels


def _rearrange(raw: Path, rng: random.Random) -> None:
    """What people do to folders: rename, swap, add."""
    folders = sorted((raw / "train").iterdir())
    first, second = rng.sample(folders, 2)
    match rng.randrange(5):
        case 0:
            (first / "image.tif").rename(first / "image.png")
        case 1:
            first.rename(first.with_name(rng.choice(("a\nb", "\x1b[31m", "ü" * 90, "-x", "CON"))))
        case 2:
            shutil.copy(second / "image.tif", first / "class1.tif")
        case 3:
            (first / "class1.png").write_bytes(b"x")
        case _:
            shutil.copy(second / "image.tif", first / "image.tif")
