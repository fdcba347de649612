"""Results as JSON, as Markdown tables, inside docs/performance.md and as a picture.

    python benchmarks/results.py RESULTS.json

writes the tables of docs/performance.md and docs/images/cost-vs-cells.png again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measurement import Measurement

REPOSITORY = Path(__file__).parents[1]
DOCUMENT = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "images" / "cost-vs-cells.png"
_BEGIN = "<!-- measured: begin (written by benchmarks/results.py) -->"
_END = "<!-- measured: end -->"


def write_json(path: Path, environment: dict[str, Any], rows: Sequence[Measurement]) -> None:
    """Write everything that was measured."""
    content = {"environment": environment, "measurements": [row.as_record() for row in rows]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> tuple[dict[str, Any], list[Measurement]]:
    """Read what :func:`write_json` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["environment"], [Measurement.from_record(r) for r in content["measurements"]]


def markdown(environment: dict[str, Any], rows: Sequence[Measurement]) -> str:
    """The environment, the table of workloads and the tables of the curves."""
    facts = "; ".join(f"{name} {value}" for name, value in environment.items())
    lines = [f"Measured with {facts}.", ""]
    lines += ["| stage | workload | stock | this project | ratio | target | met |"]
    lines += ["|---|---|--:|--:|--:|---|---|"]
    notes: list[str] = []
    for row in rows:
        if row.curve is not None:
            continue
        mark = ""
        if row.note:
            if row.note not in notes:
                notes.append(row.note)
            mark = f" [{notes.index(row.note) + 1}]"
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(
            f"| {row.stage}{mark} | {row.workload} | {_value(row.stock, row)} "
            f"| {_value(row.ours, row)} | {_ratio(row)} | {_target(row)} | {met} |"
        )
    lines.append("")
    lines += [f"[{number}] {note}  " for number, note in enumerate(notes, start=1)]
    for curve, title in (("cells", "number of cells"), ("side", "image size")):
        stages = dict.fromkeys(row.stage for row in rows if row.curve == curve)
        if stages:
            lines += ["", f"Cost against {title}:", ""]
            lines += [
                "| stage | workload | stock | this project | ratio |",
                "|---|---|--:|--:|--:|",
            ]
        for stage in stages:
            for row in rows:
                if row.curve == curve and row.stage == stage:
                    lines.append(
                        f"| {stage} | {row.workload} | {_value(row.stock, row)} "
                        f"| {_value(row.ours, row)} | {_ratio(row)} |"
                    )
    return "\n".join(lines).rstrip() + "\n"


def update_document(table: str, document: Path = DOCUMENT) -> None:
    """Put the tables between the markers of a document.

    Raises:
        ValueError: The document lacks the markers.
    """
    text = document.read_text(encoding="utf-8")
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"{document} lacks the lines {_BEGIN!r} and {_END!r}: put them back.")
    head, rest = text.split(_BEGIN, 1)
    tail = rest.split(_END, 1)[1]
    document.write_text(f"{head}{_BEGIN}\n{table}{_END}{tail}", encoding="utf-8")


def draw(rows: Sequence[Measurement], path: Path) -> None:
    """Cost against the number of cells, one panel a stage, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    panels = list(dict.fromkeys(row.stage for row in rows if row.curve == "cells"))
    if not panels:
        return
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3.1), squeeze=False, layout="constrained"
    )
    for axis, stage in zip(axes[0], panels, strict=True):
        points = [row for row in rows if row.curve == "cells" and row.stage == stage]
        for side, colour, marker in (("stock", "#c0562f", "o"), ("ours", "#1f6fb2", "s")):
            known = [(row.x, getattr(row, side)) for row in points]
            known = [(x, y) for x, y in known if y is not None]
            label = "stock MMDetection" if side == "stock" else "cellseg-mm"
            axis.plot(*zip(*known, strict=True), color=colour, marker=marker, ms=4, label=label)
        axis.set(xscale="log", yscale="log", title=stage, xlabel="cells")
        ticks = [row.x for row in points if row.x is not None]
        axis.set_xticks(ticks, [f"{x:,}" for x in ticks])
        axis.xaxis.set_minor_formatter(NullFormatter())
        unit = points[0].unit
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _, unit=unit: _number(y, unit)))
        axis.grid(alpha=0.25, lw=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set_size(10)
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("one image of 1000×1000 pixels", fontsize=8, color="0.4")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def _value(value: float | None, row: Measurement) -> str:
    return "–" if value is None or value != value else _number(value, row.unit)


def _number(value: float, unit: str) -> str:
    """A value with three digits and a unit that fits it."""
    if unit == "s":
        scale, name = (1, "s") if value >= 1 else (1e3, "ms") if value >= 1e-3 else (1e6, "µs")
    elif unit == "bytes":
        scale, name = (
            (1e-9, "GB") if value >= 1e9 else (1e-6, "MB") if value >= 1e6 else (1e-3, "kB")
        )
    else:
        scale, name = 1, unit
    number = value * scale
    text = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{text}{'' if name == '×' else ' '}{name}"


def _ratio(row: Measurement) -> str:
    return "–" if row.ratio is None or row.ratio != row.ratio else _number(row.ratio, "×")


def _target(row: Measurement) -> str:
    if row.target is None:
        return ""
    sign = "≥" if row.target.bound == "at least" else "≤"
    unit = "×" if row.target.quantity == "ratio" else row.unit
    return f"{sign} {_number(row.target.value, unit)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, metavar="RESULTS.json")
    environment, rows = read_json(parser.parse_args().results)
    update_document(markdown(environment, rows))
    draw(rows, PICTURE)


if __name__ == "__main__":
    main()
