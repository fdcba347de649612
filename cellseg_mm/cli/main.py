"""``cellseg``: the cells of images, from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cellseg_mm import __version__
from cellseg_mm.cli import list_models, segment, serve
from cellseg_mm.runs.user_errors import exit_with_a_sentence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    Exit codes: 0 done; 1 some images failed, or a fault of this package; 2 bad input, no image was
    segmented; 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        arguments: The command line; None = that of the process.
    """
    with exit_with_a_sentence():
        args = build_parser().parse_args(arguments)
        sys.exit(args.run(args))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; what it parses has the command's function as ``run``."""
    parser = argparse.ArgumentParser(
        prog="cellseg", description="Finds, outlines and classifies every cell of H&E images."
    )
    parser.add_argument("--version", action="version", version=f"cellseg-mm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    segment.add_command(commands)
    serve.add_command(commands)
    list_models.add_command(commands)
    return parser
