"""``cellseg serve``: a local web page to segment images and to look at the cells."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cellseg_mm.errors import UserError
from cellseg_mm.runs.user_errors import exit_with_a_sentence
from cellseg_mm.serve.options import ServeOptions

_LIMITS: dict[str, tuple[type, str]] = {
    "max_megabytes": (float, "largest file that is taken"),
    "max_megapixels": (float, "largest image that is taken"),
    "max_jobs": (int, "most jobs that wait"),
    "keep_days": (float, "after so many days a job is removed"),
}
"""Options that :class:`ServeOptions` has under the same names."""

_DESCRIPTION = """\
Serves a page on which images are dropped, segmented and looked at with their cells, and an HTTP
interface that does the same for programs (docs/serve.md). RESULTS are what `cellseg segment` wrote:
output folders, or single *_run.json or .geojson files; they are shown and never changed.

Only this machine can reach it. With another --host, who knows the token of the printed address can;
the connection is not encrypted."""


def add_command(commands: Any) -> None:
    """Add the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="segment and look at cells in a browser",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("results", nargs="*", type=Path, metavar="RESULTS", help="of `cellseg segment`, to look at")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    add("--port", type=int, default=8000, metavar="N", help="default: 8000")
    add(
        "--model",
        action="append",
        default=[],
        metavar="NAME|FOLDER|FILE",
        help="a model to choose from, as for `cellseg segment`; may be given several times, the "
        "first is the default (default: all of `cellseg models`)",
    )
    add(
        "--folder",
        type=Path,
        default=Path("cellseg-jobs"),
        metavar="DIR",
        help="where uploads and their results lie (default: cellseg-jobs)",
    )
    add("--device", default="auto", metavar="D", help="cpu, cuda, cuda:1, … (default: auto)")
    for name, (kind, what) in _LIMITS.items():
        default = getattr(ServeOptions, name)
        words = f"{what} (default: {default})"
        add(_option(name), type=kind, default=default, metavar="N", help=words)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Serve until the process is told to end."""
    for name in _LIMITS:
        if not getattr(args, name) > 0:
            args.parser.error(f"{_option(name)} must be above 0")
    if not 0 < args.port < 65_536:
        args.parser.error(f"--port {args.port} must lie between 1 and 65535")
    with exit_with_a_sentence("finished jobs are whole; the others are done after the next start."):
        # These imports take seconds, which --help and a mistyped option should not.
        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise UserError(
                f"cellseg serve needs the package {error.name}: install cellseg-mm[serve]."
            ) from error
        from cellseg_mm.serve.server import serve

        options = ServeOptions(
            folder=args.folder.absolute(),
            device=args.device,
            **{name: getattr(args, name) for name in _LIMITS},
        )
        serve(args.host, args.port, options, args.model, args.results)
    return 0


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
