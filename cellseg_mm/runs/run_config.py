"""From a config file and the command line to the config of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.runs.config_overrides import apply_overrides
from cellseg_mm.runs.model_bundle import weights_of
from cellseg_mm.runs.process_group import prepare_for_launcher

_PARTS = ("model", "metainfo", "train_dataloader", "val_dataloader", "default_hooks")
"""What every config has."""

_HOOKS_OF_MMENGINE = {
    "runtime_info",
    "timer",
    "sampler_seed",
    "logger",
    "param_scheduler",
    "checkpoint",
}


def load_config(
    path: str, work_dir: str | None, options: Sequence[str] | None, launcher: str = "none"
) -> Config:
    """Read a config and apply the command line to it.

    Without options, the config is what ``Config.fromfile`` gives, but for its work dir, the hooks
    that it sets to None, which are removed (MMEngine's runner takes None for its own alone), and a
    ``load_from`` that names a published model, which becomes the file of its weights.

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
    except Exception as error:  # a config is code of the user
        raise UserError(f"{path} is not a config that can be read: {error}") from error
    if missing := [part for part in _PARTS if part not in config]:
        raise UserError(
            f"{path} is not the config of a run, for it has no {', '.join(missing)}: choose one "
            "from configs/, or build upon one with _base_."
        )
    apply_overrides(config, options or [])
    hooks = config.get("default_hooks", {})
    for name in set(hooks) - _HOOKS_OF_MMENGINE:
        if hooks[name] is None:
            del hooks[name]
    for part in ("train", "val", "test"):
        loader = config.get(f"{part}_dataloader")
        if loader is not None and loader.get("num_workers") == 0:
            loader.persistent_workers = False  # torch refuses it without workers
    if isinstance(config.get("load_from"), str):
        config.load_from = weights_of(config.load_from)
    config.work_dir = work_dir or config.get("work_dir") or str(Path("work_dirs", Path(path).stem))
    prepare_for_launcher(config, launcher)
    return config


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
    if config.default_hooks.get("checkpoint"):
        config.default_hooks.checkpoint.save_best = None
    remove_hooks(config, "ResumableEarlyStoppingHook")
    return True


def remove_hooks(config: Config, kind: str) -> None:
    """Remove the hooks of a type from a config, under whatever name; in place."""
    hooks = config.get("default_hooks", {})
    for name in [name for name, hook in hooks.items() if hook is not None and hook.type == kind]:
        del hooks[name]
    if config.get("custom_hooks"):
        config.custom_hooks = [hook for hook in config.custom_hooks if hook.type != kind]
