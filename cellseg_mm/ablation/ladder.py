"""The ablation file: which rows to train and test, over which folds and seeds.

It is YAML::

    title: The reference's ladder
    data: data/cell/            # prepared data set; default: what the configs say
    folds: 5                    # k, or splits/5-folds_seed-0.json; default: the prepared split
    seeds: [0, 1, 2]            # default: [0]
    overrides: {max_epochs: 20} # of all rows
    rows:
      - name: ResNet-50
        config: configs/mask-rcnn_r50_fpn_cell.py
      - name: ResNet-50, lr 3e-4
        config: configs/mask-rcnn_r50_fpn_cell.py
        overrides:
          optim_wrapper.optimizer.lr: 3e-4
      - name: ResNet-50, four flips
        weights_of: ResNet-50   # not trained: that row's config, overrides and checkpoints
        overrides:
          test_time.views: flips

Overrides have the dotted keys and the values of ``--cfg-options``. With folds, a row is run
once for each fold and seed; without, once for each seed on the split that the data was prepared
with. Free of torch and MMDetection.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cellseg_mm.errors import UserError

_TEST_SETTINGS = ("model.test_cfg.", "test_time.", "val_dataloader.", "val_evaluator.")
"""How the keys begin that change a test on the validation images, but no training."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: As the table shows it.
        config: Path of the config.
        options: ``KEY=VALUE`` overrides: those of all rows, then the row's own.
        weights_of: Name of the row whose checkpoints it tests; None for a row that is trained.
    """

    name: str
    config: str
    options: tuple[str, ...]
    weights_of: str | None = None

    @property
    def slug(self) -> str:
        """The name as a folder's name."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-.")


@dataclass(frozen=True)
class Ladder:
    """An ablation file.

    Attributes:
        title: Heading of the tables.
        rows: The rows, in the order of the table.
        seeds: Seeds of each row.
        folds: Number of folds k, the path of a split file inside the data set, or None.
        data: Folder of the prepared data set, or None for that of the configs.
    """

    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    folds: int | str | None
    data: str | None


def read_ladder(
    path: Path | str,
    folds: int | str | None = None,
    seeds: Sequence[int] | None = None,
    options: Sequence[str] = (),
    data: str | None = None,
) -> Ladder:
    """Read an ablation file and check it.

    Args:
        path: The file.
        folds, seeds, data: Instead of the file's.
        options: ``KEY=VALUE`` overrides of all rows, after the file's and before a row's own.

    Raises:
        ValueError: The file is absent, not YAML, or not an ablation file; the message says where.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"The ablation file {path} does not exist: see configs/ablations/."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML ({error}).") from error
    try:
        instead = {"data": data, "folds": folds, "seeds": seeds and list(seeds)}
        return _ladder(content, {k: v for k, v in instead.items() if v}, options, path.stem)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _ladder(content: Any, instead: Mapping[str, Any], options: Sequence[str], title: str) -> Ladder:
    _check_keys(content, {"title", "data", "folds", "seeds", "overrides", "rows"}, "the file")
    content = {**content, **instead}
    seeds = content.get("seeds", [0])
    if (
        not isinstance(seeds, list)
        or not seeds
        or not all(type(seed) is int and seed >= 0 for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise UserError(f"`seeds` is {seeds!r}; write a list of distinct whole numbers from 0.")
    folds = content.get("folds")
    if not (folds is None or isinstance(folds, str) or (type(folds) is int and folds >= 2)):
        raise UserError(
            f"`folds` is {folds!r}; write a number from 2, or the path of a split file in the data."
        )
    data = content.get("data")
    if not (data is None or isinstance(data, str)):
        raise UserError(f"`data` is {data!r}; write the path of a prepared data set.")
    common = (*_options(content.get("overrides"), "`overrides`"), *options)
    records = content.get("rows")
    if not isinstance(records, list) or not records:
        raise UserError("`rows` must be a list of at least one row.")
    rows: list[Row] = []
    for number, record in enumerate(records, start=1):
        rows.append(_row(record, number, common, rows))
    slugs = [row.slug for row in rows]
    for row in rows:
        if not row.slug or slugs.count(row.slug) > 1:
            raise UserError(
                f"the row {row.name!r} has the same name as another, or one without letters and "
                "digits; rows need names that differ."
            )
    return Ladder(str(content.get("title", title)), tuple(rows), tuple(seeds), folds, data)


def _row(record: Any, number: int, common: tuple[str, ...], earlier: Sequence[Row]) -> Row:
    where = f"row {number}"
    _check_keys(record, {"name", "config", "weights_of", "overrides"}, where)
    if ("config" in record) == ("weights_of" in record):
        raise UserError(
            f"{where} needs `config`, if it is to be trained, or `weights_of`, not both."
        )
    source = "config" if "config" in record else "weights_of"
    for key in ("name", source):
        if not isinstance(record.get(key), str):
            raise UserError(f"{where} needs `{key}`, a text.")
    options = _options(record.get("overrides"), f"`overrides` of {where}")
    if source == "config":
        return Row(record["name"], record["config"], common + options)
    trained = {row.name: row for row in earlier if row.weights_of is None}
    row = trained.get(record["weights_of"])
    if row is None:
        raise UserError(
            f"`weights_of` of {where} is {record['weights_of']!r}; name a row above it that is "
            f"trained: {', '.join(map(repr, trained)) or 'there is none'}."
        )
    for key in record.get("overrides") or ():
        if not str(key).startswith(_TEST_SETTINGS):
            raise UserError(
                f"{key} of {where} changes more than the test, but the row tests the weights of "
                f"{row.name!r}: give it a `config`, so that it is trained."
            )
    return Row(record["name"], row.config, row.options + options, row.name)


def _check_keys(record: Any, known: set[str], where: str) -> None:
    if not isinstance(record, Mapping):
        raise UserError(f"{where} must consist of keys and values: {', '.join(sorted(known))}.")
    for key in record:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it may have {sorted(known)}."
            raise UserError(f"{where} has an unknown key {key!r}; {hint}")


def _options(overrides: Any, where: str) -> tuple[str, ...]:
    """Overrides as the command line writes them."""
    if overrides is None:
        return ()
    if not isinstance(overrides, Mapping):
        raise UserError(f"{where} must consist of dotted keys and values.")
    return tuple(
        f"{key}={_literal(value, f'{key} in {where}')}" for key, value in overrides.items()
    )


def _literal(value: Any, where: str) -> str:
    if isinstance(value, Mapping):
        raise UserError(f"{where} is a mapping; write its keys with dots, one a line.")
    if isinstance(value, list):
        return f"[{','.join(_literal(item, where) for item in value)}]"
    return str(value)  # None, True and numbers as Python writes them; text, such as 1e-4, as it is
