"""Four settings that a config holds in several places, changed in all of them."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from cellseg_mm.errors import UserError
from cellseg_mm.readers.scale import LARGEST, SMALLEST

SPREAD = ("data_root", "max_epochs", "mpp", "metainfo.classes", "metainfo.palette")


def spread_setting(config: Config, key: str, value: Any) -> Any:
    """Change a setting wherever the config still holds its own value for it, in place.

    MMEngine evaluates a config's variables before the command line is read, so that an override of
    one of them alone changes nothing. A place with a value of its own keeps it.

    - ``data_root``: data sets and annotation files, as the start of a path. With several folders,
      training has the images of all; validation and test images are those of the first.
    - ``max_epochs``: the training loop, ``end`` and ``T_max`` of the schedule.
    - ``mpp``: a step ``ResizeToMpp`` in the pipelines of all data sets.
    - ``metainfo.classes``, ``metainfo.palette``: data sets; ``num_classes`` follows the classes.

    Args:
        config: The config, which has the key.
        key: One of :data:`SPREAD`.
        value: The new value.

    Returns:
        The new value as the config is to hold it.

    Raises:
        ValueError: The value makes no sense.
    """
    if key == "data_root":
        return _spread_data_root(config, value)
    if key == "max_epochs":
        return _spread_max_epochs(config, value)
    if key == "mpp":
        return _spread_mpp(config, value)
    return _spread_metainfo(config, key.removeprefix("metainfo."), value)


def _spread_data_root(config: Config, value: Any) -> str:
    folders = value if isinstance(value, list | tuple) else [value]
    if not folders or not all(isinstance(folder, str) and folder for folder in folders):
        raise UserError(f"--cfg-options data_root={value}: give the folder of a data set.")
    old, (first, *others) = config.data_root, [folder.rstrip("/") + "/" for folder in folders]
    for part in _data_parts(config) if old else ():
        config[part] = _moved(config[part], old.rstrip("/"), first)
    if others:
        own = config.train_dataloader.dataset
        sets = [_moved(own, first.rstrip("/"), other) for other in others]
        config.train_dataloader.dataset = ConfigDict(type="ConcatDataset", datasets=[own, *sets])
    return first


def _spread_max_epochs(config: Config, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise UserError(f"--cfg-options max_epochs={value}: give a whole number from 1.")
    for node in mappings([config.train_cfg, config.get("param_scheduler")]):
        for name in ("max_epochs", "end", "T_max"):
            if node.get("by_epoch", True) and node.get(name) == config.max_epochs:
                node[name] = value
    return value


def _spread_mpp(config: Config, value: Any) -> float | None:
    if value is not None and not (isinstance(value, int | float) and SMALLEST <= value <= LARGEST):
        raise UserError(
            f"--cfg-options mpp={value}: give µm per pixel from {SMALLEST} to {LARGEST}, or None."
        )
    for node in mappings([config[part] for part in _data_parts(config)]):
        if isinstance(node.get("pipeline"), list):
            node["pipeline"] = _at_scale(node["pipeline"], value)
    return value


def _spread_metainfo(config: Config, name: str, value: Any) -> Any:
    old = config.metainfo.get(name)
    if name == "classes":
        value = [str(each) for each in (value if isinstance(value, list | tuple) else [value])]
        if not value:
            raise UserError("--cfg-options metainfo.classes=[]: give at least one name.")
    for node in mappings([config[part] for part in _data_parts(config)]):
        if "metainfo" in node and _same(node["metainfo"].get(name), old):
            node["metainfo"][name] = value
    if name == "classes" and old:
        for node in mappings(config._cfg_dict):
            if node.get("num_classes") == len(old):
                node["num_classes"] = len(value)
    return value


def _data_parts(config: Config) -> list[str]:
    """The keys of the data loaders and evaluators that a config has; one switched off is None."""
    kinds = ("dataloader", "evaluator")
    keys = [f"{part}_{kind}" for part in ("train", "val", "test") for kind in kinds]
    return [key for key in keys if config.get(key) is not None]


def _moved(node: Any, old: str, new: str) -> Any:
    """The same with ``new`` (which ends in "/") where a path starts with the folder ``old``."""
    if isinstance(node, MutableMapping):
        return ConfigDict({key: _moved(value, old, new) for key, value in node.items()})
    if isinstance(node, list | tuple):
        return type(node)(_moved(value, old, new) for value in node)
    if isinstance(node, str) and f"{node}/".startswith(f"{old}/"):
        return new + node[len(old) + 1 :]
    return node


def _at_scale(pipeline: Sequence[ConfigDict], mpp: float | None) -> list[ConfigDict]:
    """A pipeline whose images are resized to a number of µm per pixel once they are loaded."""
    scaling = ConfigDict(type="ResizeToMpp", mpp=mpp)
    if mpp is None:
        return [scaling if step["type"] == "ResizeToMpp" else step for step in pipeline]
    steps = [
        step
        for step in pipeline
        if step["type"] != "ResizeToMpp"
        and not (step["type"] == "Resize" and step.get("scale_factor") == 1.0)
    ]
    resizing = [step["type"] for step in steps if "Resize" in step["type"]]
    if resizing:
        raise UserError(
            f"--cfg-options mpp={mpp}: a pipeline of the config already resizes images, by "
            f"{resizing[0]}; take a config that keeps their size."
        )
    place = 1 + max(n for n, step in enumerate(steps) if step["type"].startswith("Load"))
    return [*steps[:place], scaling, *steps[place:]]


def mappings(node: Any) -> Iterator[MutableMapping[str, Any]]:
    """All mappings within a part of a config, itself included."""
    children: Any = node if isinstance(node, list | tuple) else ()
    if isinstance(node, MutableMapping):
        yield node
        children = node.values()
    for child in children:
        yield from mappings(child)


def _same(names: Any, others: Any) -> bool:
    return names == others or (names and others and list(names) == list(others))
