"""Class names that are one name, written in two ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cellseg_mm.preparation.findings.finding import Finding


def find_class_names(classes: Sequence[str]) -> list[Finding]:
    """Report names that differ only by case, blanks, hyphens or underscores.

    Args:
        classes: Names of the classes of the prepared data set.
    """
    written: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        written["".join(c for c in name.casefold() if c not in "-_" and not c.isspace())] += [name]
    same = [" = ".join(map(repr, names)) for names in written.values() if len(names) > 1]
    if not same:
        return []
    return [
        Finding(
            "Class names",
            f"Classes whose names differ only by case or blanks: {'; '.join(same)}. They are taken "
            "as different classes; join them with --class-table.",
        )
    ]
