"""Command-line overrides of a config that cannot be misspelt silently."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import albumentations
import mmcv.ops
import torch
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from cellseg_mm.errors import UserError
from cellseg_mm.runs.option_value import value_for
from cellseg_mm.runs.spread_setting import SPREAD, spread_setting

# What the runner reads from a config though no base file has to set it.
_RUNNER_KEYS = {"work_dir", "load_from", "resume", "auto_scale_lr", "find_unused_parameters"}
_OUR_KEYS = {"metainfo", "test_time", "custom_imports", *(key.partition(".")[0] for key in SPREAD)}
"""What this project's tools read from a config."""

# What parts of a config may have that no class takes as they are.
_PART_KEYS = {
    "optim_wrapper": {"constructor", "paramwise_cfg"},
    "randomness": {"seed", "deterministic", "diff_rank_seed"},
    "metainfo": {"classes", "palette"},
    "nms": {"split_thr", "max_num"},  # what mmcv's batched_nms takes out of its nms_cfg
    "clip_grad": {"type"},
}


def apply_overrides(config: Config, options: Sequence[str]) -> None:
    """Merge ``--cfg-options`` into a config, in place.

    A key must exist in the config, or be an argument of the class or function that it goes to.
    MMEngine by itself adds any key, so a misspelt one changes nothing and nobody is told. The
    settings of :mod:`spread_setting` reach all places that depend on them; an option for one of
    these places wins, whatever the order.

    Args:
        config: The config.
        options: ``KEY=VALUE`` with dotted keys; numbers index lists.

    Raises:
        ValueError: An option has no "=", its key is unknown (the message names the nearest keys)
            or one that nothing reads, or its value is of the wrong kind.
    """
    parsed = [option.partition("=") for option in options]
    for key, separator, _ in parsed:
        if not key or not separator:
            raise UserError(f"--cfg-options {key}: write KEY=VALUE, in quotes if it has a blank.")
    for key, _, text in sorted(parsed, key=lambda option: option[0] not in SPREAD):
        old = _find(config, key)
        _refuse_variable(config, key)
        value = value_for(key, text, old)
        if key in SPREAD:
            value = spread_setting(config, key, value)
        config.merge_from_dict({key: value})


def _find(config: Config, dotted: str) -> Any:
    """What a config holds at a key; None if nothing yet."""
    node: Any = config._cfg_dict
    parts = dotted.split(".")
    for depth, part in enumerate(parts):
        if isinstance(node, list | tuple):
            if not part.isdigit() or int(part) >= len(node):
                raise UserError(
                    f"--cfg-options {dotted}: {'.'.join(parts[:depth])} is a list of {len(node)}, "
                    f"so the next part must be a number from 0 to {len(node) - 1}, not {part!r}."
                )
            node = node[int(part)]
            continue
        if not isinstance(node, Mapping):
            raise UserError(
                f"--cfg-options {dotted}: {'.'.join(parts[:depth])} is {node!r}, which has no key "
                f"{part!r}."
            )
        if part not in node:
            allowed = _allowed(node, parts[depth - 1] if depth else "")
            is_new_hook = parts[:depth] == ["default_hooks"] and parts[depth + 1 :] == ["type"]
            if part in allowed or is_new_hook:
                return None  # what lies below is the class's own affair
            raise UserError(
                f"--cfg-options {dotted}: there is no key {part!r}"
                f"{f' in {chr(46).join(parts[:depth])}' if depth else ''}; the nearest are "
                f"{', '.join(_nearest(config, dotted, set(node) | allowed, parts[:depth]))}."
            )
        node = node[part]
    return node


def _refuse_variable(config: Config, dotted: str) -> None:
    """Refuse a variable that only the config file itself uses, before the command line is read."""
    name = dotted.partition(".")[0]
    if name in {*inspect.signature(Runner).parameters, *_RUNNER_KEYS, *_OUR_KEYS}:
        return
    hint = "change what it goes into, or set it in a config that builds upon this one"
    if name == "num_classes":
        hint = "set metainfo.classes, and their number follows"
    raise UserError(
        f"--cfg-options {dotted}: {name} is a variable that the config file has used already, so "
        f"that this would change nothing; {hint}."
    )


def _nearest(config: Config, dotted: str, siblings: set[str], parents: list[str]) -> list[str]:
    """Up to three keys that resemble a misspelt one: its neighbours first, then all others."""
    names = {".".join([*parents, name]) for name in siblings}
    near = difflib.get_close_matches(dotted, names, n=3, cutoff=0.8)
    if not near:
        near = difflib.get_close_matches(
            dotted, names | set(_paths(config._cfg_dict)), n=3, cutoff=0.5
        )
    return near or sorted(names)[:3]


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    """All dotted keys of a config."""
    items: Any = ()
    if isinstance(node, Mapping):
        items = node.items()
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    for key, value in items:
        path = f"{prefix}{key}"
        yield path
        yield from _paths(value, f"{path}.")


def _allowed(node: Mapping[str, Any], name: str) -> set[str]:
    """Keys that a part of a config may have beyond those it has."""
    if not name:
        return _RUNNER_KEYS
    takers = [node.get("type")]
    if name.endswith("_dataloader"):
        takers = [DataLoader]
    elif name == "nms":
        takers = [mmcv.ops.batched_nms, getattr(mmcv.ops, str(node.get("type")), None)]
    elif name == "clip_grad":
        takers = [getattr(torch.nn.utils, f"clip_grad_{node.get('type', 'norm')}_", None)]
    return set().union(_PART_KEYS.get(name, set()), *map(_arguments, takers))


def _arguments(taker: Any) -> set[str]:
    """Names of the arguments of a function or a registered class, its base classes included."""
    taker = _registered(taker) if isinstance(taker, str) else taker
    if not inspect.isclass(taker):
        return set(inspect.signature(taker).parameters) if callable(taker) else set()
    names: set[str] = set()
    for base in inspect.getmro(taker):
        initializer: Any = vars(base).get("__init__")
        if initializer is None:
            continue
        parameters = inspect.signature(initializer).parameters.values()
        names.update(
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        )
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break  # it passes nothing on to its base class
    return names - {"self"}


def _registered(name: str) -> Any:
    import mmdet.registry
    import mmengine.registry

    for module in (mmdet.registry, mmengine.registry):
        for registry in vars(module).values():
            if isinstance(registry, Registry) and (found := registry.get(name)) is not None:
                return found
    return getattr(albumentations, name, None)  # the transforms of AlbuLabelMaps
