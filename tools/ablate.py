"""Run an ablation and write its tables.

    python tools/ablate.py configs/ablations/reference.yaml --out work_dirs/ladder [--data DIR]

Trains and tests each row of the file over its folds and seeds, whatever of it is missing in OUT,
and writes table.md, table.csv and table.tex there. A row with `weights_of` is only tested, with the
weights of another one. It may be killed at any time: run it again, and it goes on to the same
table. A row that was changed is run anew; a row that fails does not stop the others. Exit
code 1 if a run failed, 2 if the file or the data cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("file", help="the ablation file; see configs/ablations/")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of runs and tables")
    add("--data", metavar="DIR", help="prepared data set (default: that of the file or configs)")
    add("--folds", help="instead of the file's: a number, or a split file's path")
    add("--seeds", nargs="+", type=int, metavar="SEED", help="instead of the file's")
    add(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of all rows, such as metainfo.classes=cell",
    )
    return parser.parse_args()


def main() -> int:
    with exit_with_a_sentence():
        args = parse_args()
        return ablate(args)


def ablate(args: argparse.Namespace) -> int:
    """Run the rows and write the tables; the exit code."""
    # These imports take seconds, which --help and a mistyped option should not.
    from collections.abc import Sequence

    from cellseg_mm.ablation.ladder import read_ladder
    from cellseg_mm.ablation.run_ladder import run_ladder
    from cellseg_mm.ablation.run_result import RunResult
    from cellseg_mm.ablation.table import build_tables, progress_text, write_tables

    def say(line: str) -> None:
        print(line, flush=True)

    folds = int(args.folds) if str(args.folds).isdigit() else args.folds
    ladder = read_ladder(args.file, folds, args.seeds, args.cfg_options, args.data)

    def on_change(results: Sequence[RunResult]) -> None:
        write_tables(build_tables(ladder.title, results), results, args.out)
        say(progress_text(results))

    tools = Path(__file__).resolve().parent
    results = run_ladder(ladder, args.out, tools, on_change, say)

    for table in build_tables(ladder.title, results):
        say("\n" + table.markdown().rstrip())
    say(f"\n{args.out}/table.md, table.csv, table.tex")
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
