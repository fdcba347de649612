"""One cell of an ablation: a row, a fold and a seed, and the folder where its results belong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cellseg_mm.ablation.folds import annotation_files, select_fold
from cellseg_mm.ablation.ladder import Row
from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.runs.run_config import load_config

_NOT_PART_OF_A_RUN = ("work_dir", "launcher", "resume")


@dataclass(frozen=True)
class PlannedRun:
    """What is to be trained and tested, and where.

    Attributes:
        row: Row of the ladder.
        fold: Index of the fold, or None for the split that the data was prepared with.
        seed: Seed of the run.
        config: All settings, with the hook of this package.
        identity: Digest of what determines the result: settings, seed and annotations, and those of
            the run whose weights it tests. It is part of the folder's name, so a changed row is a
            new run and the old one is kept.
        folder: Work dir.
        weights_from: The run whose checkpoint is tested; None for a run that is trained itself.
    """

    row: Row
    fold: int | None
    seed: int
    config: Config
    identity: str
    folder: Path
    weights_from: PlannedRun | None = None

    @property
    def name(self) -> str:
        """As messages name it."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"{self.row.name}{fold}, seed {self.seed}"

    @property
    def config_file(self) -> Path:
        """Where the settings are written: beside the folder, which holds the runner's own copy."""
        return self.folder.with_suffix(".py")

    def write_config(self) -> None:
        """Write the settings as a config that tools/train.py and tools/test.py run."""
        with atomic_write(self.config_file) as unfinished:
            self.config.dump(str(unfinished))

    def read_record(self) -> dict[str, Any]:
        """What is known of the run; empty if it has not begun."""
        try:
            record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if record.get("identity") == self.identity else {}

    def write_record(self, **changes: Any) -> dict[str, Any]:
        """Change entries of ``run.json``, whole or not at all, and return all of them."""
        record = {
            "identity": self.identity,
            "row": self.row.name,
            "config": self.row.config,
            "options": list(self.row.options),
            "fold": self.fold,
            "seed": self.seed,
            "weights_of": self.row.weights_of,
            **self.read_record(),
            **changes,
        }
        with atomic_write(self.folder / "run.json") as unfinished:
            unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        return record


def plan_run(
    row: Row,
    fold: int | None,
    fold_folder: Path | None,
    seed: int,
    data: str | None,
    runs: Path,
    weights_from: PlannedRun | None = None,
) -> PlannedRun:
    """Work out a run.

    Args:
        row: Row of the ladder.
        fold: Index of the fold, or None.
        fold_folder: Its annotation files; None without folds.
        seed: Seed of the run.
        data: Folder of the prepared data set, or None for that of the config.
        runs: Folder of all runs.
        weights_from: The run of the same fold and seed whose checkpoint is tested; None for a run
            that is trained itself.

    Raises:
        ValueError: The config or an override is not valid, or the data is not there.
    """
    options = [*row.options, f"randomness.seed={seed}"]
    settings = load_config(row.config, None, options)
    config = settings
    if data is not None:
        config = load_config(row.config, None, [*options, f"data_root={data}"])
    if fold_folder is not None:
        select_fold(config, fold_folder)
    # Where the data lies does not matter, what it says does.
    identity = _identity(settings, annotation_files(config), weights_from)

    config.setdefault("custom_imports", {"imports": [], "allow_failed_imports": False})
    hook = "cellseg_mm.ablation.training_cost_hook"
    config.custom_imports.imports = [*config.custom_imports.imports, hook]
    config.setdefault("default_hooks", {})["TrainingCostHook"] = {"type": "TrainingCostHook"}

    name = f"seed-{seed}_{identity[:10]}"
    if fold is not None:
        name = f"fold-{fold}_{name}"
    folder = (runs / row.slug / name).absolute()
    return PlannedRun(row, fold, seed, config, identity, folder, weights_from)


def run_data_root(row: Row, data: str | None) -> Path:
    """The folder of the data set that a row uses.

    Raises:
        ValueError: The config or an override is not valid.
    """
    if data is not None:
        return Path(data)
    return Path(load_config(row.config, None, row.options).get("data_root", "data/cell/"))


def _identity(settings: Config, annotations: list[Path], weights_from: PlannedRun | None) -> str:
    content = {k: v for k, v in settings.to_dict().items() if k not in _NOT_PART_OF_A_RUN}
    digests = []
    for path in annotations:
        try:
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        except FileNotFoundError:
            raise UserError(
                f"The annotation file {path} does not exist: write it with "
                "'python data_prep/prepare.py RAW --out DIR' and name DIR with --data."
            ) from None
    determined_by = [_plain(content), digests]
    if weights_from is not None:
        determined_by.append(weights_from.identity)
    text = json.dumps(determined_by, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(node: Any) -> Any:
    """Keys as text, so that they can be sorted."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    return node
