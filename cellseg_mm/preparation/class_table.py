"""A class table: what the classes of a data set are called in training, and which are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from cellseg_mm.errors import MissingFileError, UserError, one_line

IGNORE = "ignore"
"""The target of classes whose cells are neither cell nor background."""


@dataclass(frozen=True)
class ClassTable:
    """The classes of one data set, translated.

    Attributes:
        targets: The T class names of the prepared data set, in the order of their numbers.
        numbers: For each of the S classes of the raw data, the number of its target from 1, or 0
            where its cells are ignored.
    """

    targets: tuple[str, ...]
    numbers: tuple[int, ...]

    @classmethod
    def unchanged(cls, classes: Sequence[str]) -> ClassTable:
        """The table of a data set whose classes stay as they are."""
        return cls(tuple(classes), tuple(range(1, len(classes) + 1)))

    @property
    def annotated(self) -> list[int] | None:
        """Numbers of the targets that the data set annotates; None = all of them."""
        found = sorted(set(self.numbers) - {0})
        return None if len(found) == len(self.targets) else found


def read_class_table(path: Path, classes: Sequence[str]) -> ClassTable:
    """Read a table and look up the classes of a data set.

    The file is YAML with a line ``source name: target class`` for each class, or ``source name:
    ignore``. One table may hold the classes of several data sets. All its targets become classes of
    every data set that is prepared with it, in the order in which they first occur.

    Args:
        path: The table.
        classes: Names of the data set's classes.

    Raises:
        MissingFileError: There is no such file.
        UserError: It is no such table, or lacks some of the classes, all of which are named.
    """
    pairs = _read_pairs(path)
    unknown = [name for name in classes if name not in pairs]
    if unknown:
        raise UserError(
            f"{path} has no line for {', '.join(unknown)}: add each as `name: target class`, or as "
            f"`name: {IGNORE}`; it has {', '.join(pairs)}."
        )
    targets = [target for target in dict.fromkeys(pairs.values()) if target != IGNORE]
    if not any(pairs[name] != IGNORE for name in classes):
        raise UserError(f"{path} ignores every class of the data ({', '.join(classes)}).")
    numbers = (0 if pairs[c] == IGNORE else 1 + targets.index(pairs[c]) for c in classes)
    return ClassTable(tuple(targets), tuple(numbers))


def _read_pairs(path: Path) -> dict[str, str]:
    """Target by source name."""
    try:
        # Nodes keep what a dict would lose: names such as `no` and `1`, and lines given twice.
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), yaml.SafeLoader)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingFileError(f"The class table {path} does not exist, or is a folder.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = one_line(error, longest=None)
        raise UserError(f"The class table {path} is no YAML ({reason}): mend it.") from error
    nodes = root.value if isinstance(root, yaml.MappingNode) else []
    pairs: dict[str, str] = {}
    for node, value in nodes:
        plain = isinstance(node, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        if not (plain and node.value.strip() and value.value.strip()):
            raise UserError(
                f"Line {node.start_mark.line + 1} of the class table {path} is not `source name: "
                f"target class` or `source name: {IGNORE}`."
            )
        name = node.value.strip()
        if name in pairs:
            raise UserError(f"The class table {path} has {name!r} twice: keep one of the lines.")
        pairs[name] = value.value.strip()
    if not pairs:
        raise UserError(
            f"The class table {path} has no line `source name: target class`: write one for each "
            "class of the data."
        )
    return pairs
