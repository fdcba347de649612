"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], numbers: bool = False
) -> str:
    """A table in Markdown, its columns aligned in the text as well.

    Args:
        header: Names of the columns.
        rows: Cells, shown as `str` gives them.
        numbers: Whether all columns but the first are numbers, and stand on the right.

    Returns:
        The lines, without a line break at the end.
    """
    return tabulate(
        [[str(cell).replace("|", r"\|") for cell in row] for row in rows],
        [name.replace("|", r"\|") for name in header],
        tablefmt="pipe" if numbers else "github",
        disable_numparse=True,
        colalign=("left", *["right"] * (len(header) - 1)) if numbers else None,
    )
