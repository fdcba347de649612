"""What a work dir says about its training: config, versions, seed, hardware."""

from __future__ import annotations

import ast
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOGGED = {
    "sys.platform": "platform",
    "Python": "Python",
    "PyTorch": "PyTorch",
    "TorchVision": "TorchVision",
    "OpenCV": "OpenCV",
    "MMEngine": "MMEngine",
    "CUDA available": "CUDA available",
    "CUDA_HOME": "CUDA",
    "NVCC": "nvcc",
    "GPU number": "processes",
    "seed": "seed",
    "deterministic": "deterministic",
    "Distributed launcher": "launcher",
}
_SETTINGS = (
    ("Detector", ("model", "type")),
    ("Backbone", ("model", "backbone", "type")),
    ("Backbone size", ("model", "backbone", "arch")),
    ("Backbone depth", ("model", "backbone", "depth")),
    ("Optimizer", ("optim_wrapper", "optimizer", "type")),
    ("Learning rate", ("optim_wrapper", "optimizer", "lr")),
    ("Weight decay", ("optim_wrapper", "optimizer", "weight_decay")),
    ("Epochs at most", ("train_cfg", "max_epochs")),
    ("Images a batch and process", ("train_dataloader", "batch_size")),
    ("Detections an image", ("model", "test_cfg", "rcnn", "max_per_img")),
    ("Least score", ("model", "test_cfg", "rcnn", "score_thr")),
    ("Seed", ("randomness", "seed")),
    ("Data", ("data_root",)),
)


@dataclass(frozen=True)
class RunRecord:
    """What is known of a training.

    Attributes:
        config_name: Path of the dumped config in the work dir; empty without one.
        config_text: The dumped config; empty without one.
        config: Its values, as far as they are literals; empty without one.
        environment: Platform, versions, seed and devices from the log; empty without one.
    """

    config_name: str = ""
    config_text: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that readers ask for first, by name; without those that it lacks."""
        found = {name: _look_up(self.config, path) for name, path in _SETTINGS}
        return {name: str(value) for name, value in found.items() if value is not None}

    def data_root(self, split: str) -> Path | None:
        """The data set that the config reads for a split; None where it does not say."""
        found = _look_up(self.config, (f"{split}_dataloader", "dataset", "data_root"))
        found = found or _look_up(self.config, ("data_root",))
        return Path(found) if isinstance(found, str) else None

    def annotation_file(self, split: str) -> str:
        """Where that data set has the truth of a split; a ladder's fold has its own file."""
        found = _look_up(self.config, (f"{split}_dataloader", "dataset", "ann_file"))
        return found if isinstance(found, str) and found else f"annotations/{split}.json"


def read_run_record(work_dir: Path) -> RunRecord:
    """Read config and log of the newest training in a work dir.

    Each start, be it of a training or of a test, makes a folder `work_dir/<time of start>/` and
    overwrites the config that lies in the work dir itself. So both come from the newest folder with
    training records; only where nothing was recorded yet, the newest config and log of all count.
    """
    run = _newest_training(work_dir)
    if run is None:
        config, log = _newest_config(work_dir), max(work_dir.glob("*/*.log"), default=None)
    else:
        config, log = run / "vis_data" / "config.py", run / f"{run.name}.log"
    text = _text(config)
    name = config.relative_to(work_dir).as_posix() if config and text else ""
    return RunRecord(name, text, parse_config(text), logged_environment(_text(log)))


def parse_config(config_text: str) -> dict[str, Any]:
    """The values of a dumped config, which is not run.

    Args:
        config_text: Assignments of literals and `dict(...)` calls, as MMEngine dumps them.

    Returns:
        Value by name, None for one that is no literal; empty if the text is not Python.
    """
    try:
        module = ast.parse(config_text)
    except SyntaxError:
        return {}
    return {
        node.targets[0].id: _literal(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def logged_environment(log: str) -> dict[str, str]:
    """Platform, versions, seed and devices from the text of a log of an MMEngine run.

    Empty if the log does not begin with MMEngine's table.
    """
    _, found, rest = log.partition("System environment:")
    if not found:
        return {}
    environment = {}
    for line in rest.splitlines():
        if line.startswith("---"):
            break
        key, separator, value = line.strip().partition(": ")
        if separator and (key in _LOGGED or (key.startswith("GPU ") and key != "GPU number")):
            environment[_LOGGED.get(key, key)] = value.strip()
    return environment


def this_machine() -> dict[str, str]:
    """Platform, processor, memory and GPUs of the machine that runs this."""
    machine = {
        "platform": platform.platform(),
        "Python": platform.python_version(),
        "processor": _processor(),
        "CPUs": str(os.cpu_count()),
    }
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        machine["memory"] = f"{memory / 2**30:.0f} GiB"
    except (ValueError, OSError, AttributeError):
        pass  # not said by every system
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    for number, path in enumerate(gpus):
        machine[f"GPU {number}"] = _field(path, "Model") or "unknown"
    return machine


def _look_up(config: Any, path: Sequence[str]) -> Any:
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _newest_training(work_dir: Path) -> Path | None:
    """The newest folder of a run that recorded a training loss."""
    for scalars in sorted(work_dir.glob("*/vis_data/scalars.json"), reverse=True):
        with scalars.open(encoding="utf-8", errors="replace") as lines:
            if any(map(_has_loss, lines)):
                return scalars.parents[1]
    return None


def _has_loss(line: str) -> bool:
    try:
        return "loss" in json.loads(line)
    except ValueError:
        return False  # the last line of a run that was killed while it wrote


def _newest_config(work_dir: Path) -> Path | None:
    """The config in the work dir itself, or else that of the newest run."""
    dumped = sorted(work_dir.glob("*.py"), key=lambda path: path.stat().st_mtime)
    dumped = dumped or sorted(work_dir.glob("*/vis_data/config.py"))
    return dumped[-1] if dumped else None


def _text(path: Path | None) -> str:
    """The text of a file; empty where there is none."""
    if path is None or not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _literal(node: ast.expr) -> Any:
    """The value of a literal or a `dict(...)` call; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {k.arg: _literal(k.value) for k in node.keywords if k.arg is not None}
    if isinstance(node, ast.Dict):
        keys = [k.value if isinstance(k, ast.Constant) else None for k in node.keys]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    return _field(cpuinfo, "model name") or platform.processor() or platform.machine()


def _field(path: Path, name: str) -> str:
    """The first value of a `name : value` file; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, separator, value = line.partition(":")
        if separator and key.strip() == name:
            return value.strip()
    return ""
