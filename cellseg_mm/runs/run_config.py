"""From a config file and the command line to the config of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict, DictAction

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.runs.config_overrides import apply_overrides
from cellseg_mm.runs.process_group import prepare_for_launcher

_DEFAULT_DATA_ROOT = "data/cell/"


def load_config(
    path: str, work_dir: str | None, options: Sequence[str] | None, launcher: str = "none"
) -> Config:
    """Read a config and apply the command line to it.

    Three top-level settings reach every place that depends on them, which MMEngine's inheritance
    alone does not do: ``data_root`` (data sets and annotation files), ``max_epochs`` (training loop
    and schedule) and ``metainfo.classes`` (data sets and heads).

    Args:
        path: Config file.
        work_dir: Folder of logs and checkpoints; None = ``work_dirs/<name of the config>``.
        options: ``KEY=VALUE`` overrides.
        launcher: "none", "pytorch" or "slurm".

    Raises:
        ValueError: The file is missing or not a config, or an override is malformed or unknown.
    """
    if not Path(path).is_file():
        raise UserError(f"The config {path} does not exist: choose one from configs/.")
    try:
        config = Config.fromfile(path)
    except (OSError, SyntaxError, NameError) as error:
        raise UserError(f"{path} is not a config that can be read: {error}") from error
    epochs = config.get("max_epochs")
    overrides = parse_options(options or [])
    apply_overrides(config, overrides)
    _spread_data_root(config)
    if epochs is not None and config.max_epochs != epochs:
        _spread_max_epochs(config, epochs, keep_loop="train_cfg.max_epochs" in overrides)
    if "metainfo" in config:
        _spread_classes(config)
    for loader in _dataloaders(config):
        if loader.get("num_workers") == 0:
            loader.persistent_workers = False  # torch refuses it without workers
    config.work_dir = work_dir or config.get("work_dir") or str(Path("work_dirs", Path(path).stem))
    prepare_for_launcher(config, launcher)
    return config


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` strings as MMEngine does: numbers, Booleans, None, lists and tuples.

    Raises:
        ValueError: A string has no "=".
    """
    parsed = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key:
            raise UserError(f"--cfg-options {option}: write KEY=VALUE, without blanks.")
        parsed[key] = DictAction._parse_iterable(value)
    return parsed


def use_mixed_precision(config: Config) -> None:
    """Train in bfloat16 where the device has it, else in float16 with loss scaling; in place."""
    # Without the argument, torch also counts GPUs that merely emulate bfloat16.
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        config.optim_wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    else:
        config.optim_wrapper.type = "Bf16OptimWrapper"


def train_without_validation(config: Config) -> bool:
    """Switch off what needs validation images where the data set has none; in place.

    Returns:
        Whether it did: then there are no early stopping and no best checkpoint either.
    """
    loader = config.get("val_dataloader")
    if loader is not None:
        annotations = Path(loader.dataset.data_root, loader.dataset.ann_file)
        if read_coco_file(annotations)["images"]:
            return False
    config.val_dataloader = config.val_evaluator = config.val_cfg = None
    config.default_hooks.checkpoint.save_best = None
    config.custom_hooks = [
        hook for hook in config.custom_hooks if hook.type != "ResumableEarlyStoppingHook"
    ]
    return True


def _spread_data_root(config: Config) -> None:
    root = config.get("data_root", _DEFAULT_DATA_ROOT)
    if root == _DEFAULT_DATA_ROOT:
        return
    root = config.data_root = str(root).rstrip("/") + "/"
    for part in ("train", "val", "test"):
        for key in (f"{part}_dataloader", f"{part}_evaluator"):
            if config.get(key) is not None:
                config[key] = _replace_prefix(config[key], _DEFAULT_DATA_ROOT, root)


def _replace_prefix(node: Any, old: str, new: str) -> Any:
    if isinstance(node, Mapping):
        return ConfigDict({k: _replace_prefix(v, old, new) for k, v in node.items()})
    if isinstance(node, list | tuple):
        return type(node)(_replace_prefix(v, old, new) for v in node)
    if isinstance(node, str) and node.startswith(old):
        return new + node[len(old) :]
    return node


def _spread_max_epochs(config: Config, before: int, keep_loop: bool) -> None:
    if not keep_loop:
        config.train_cfg.max_epochs = config.max_epochs
    for scheduler in config.param_scheduler:
        for key in ("end", "T_max"):
            if scheduler.get("by_epoch", True) and scheduler.get(key) == before:
                scheduler[key] = config.max_epochs


def _dataloaders(config: Config) -> list[ConfigDict]:
    """The data loaders that a config has; one that is switched off is None."""
    found = (config.get(f"{part}_dataloader") for part in ("train", "val", "test"))
    return [loader for loader in found if loader is not None]


def _spread_classes(config: Config) -> None:
    classes = config.metainfo.classes
    if isinstance(classes, str):  # of --cfg-options metainfo.classes=cell
        config.metainfo.classes = classes = (classes,)
    for loader in _dataloaders(config):
        dataset = loader.dataset
        while "dataset" in dataset:  # such as a RepeatDataset around it
            dataset = dataset.dataset
        dataset.metainfo = config.metainfo
    _set_num_classes(config.model.roi_head, len(classes))


def _set_num_classes(node: Any, count: int) -> None:
    """Set ``num_classes`` wherever a model's config has it."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "num_classes":
                node[key] = count  # type: ignore[index]
            else:
                _set_num_classes(value, count)
    elif isinstance(node, list | tuple):
        for value in node:
            _set_num_classes(value, count)
