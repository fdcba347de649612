"""Command-line overrides of a config that cannot be misspelt silently."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from cellseg_mm.errors import UserError

# What the runner reads from a config though no base file has to set it.
_RUNNER_KEYS = {"work_dir", "load_from", "resume", "auto_scale_lr", "find_unused_parameters"}
# The same for parts of a config that no class takes as they are.
_PART_KEYS = {
    "optim_wrapper": {"constructor", "paramwise_cfg"},
    "randomness": {"seed", "deterministic", "diff_rank_seed"},
    "metainfo": {"classes", "palette"},
    "default_hooks": {"visualization"},
    "nms": {"method", "sigma", "min_score"},
}


def apply_overrides(config: Config, overrides: Mapping[str, Any]) -> None:
    """Merge ``--cfg-options`` into a config, in place.

    A key must exist in the config, or be an argument of the class that the config builds there.
    MMEngine by itself adds any key, so a misspelt one changes nothing and nobody is told.

    Args:
        config: The config.
        overrides: Dotted keys and values, as ``mmengine.config.DictAction`` parses them; numbers
            index lists.

    Raises:
        ValueError: A key is unknown; the message names the nearest keys.
    """
    for key in overrides:
        _check(config, key)
    config.merge_from_dict(dict(overrides))


def _check(config: Config, dotted: str) -> None:
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
            if part in allowed:
                return  # what lies below is the class's own affair
            raise UserError(
                f"--cfg-options {dotted}: there is no key {part!r}"
                f"{f' in {chr(46).join(parts[:depth])}' if depth else ''}; the nearest are "
                f"{', '.join(_nearest(config, dotted, set(node) | allowed, parts[:depth]))}."
            )
        node = node[part]


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
    cls = DataLoader if name.endswith("_dataloader") else node.get("type")
    return _arguments(cls) | _PART_KEYS.get(name, set())


def _arguments(name: Any) -> set[str]:
    """Names of the arguments of a registered class, its base classes included."""
    cls = _registered(name) if isinstance(name, str) else name
    if not inspect.isclass(cls):
        return set()
    names: set[str] = set()
    for base in inspect.getmro(cls):
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
    return None
