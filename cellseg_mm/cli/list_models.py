"""``cellseg models``: the models that are installed with the package."""

from __future__ import annotations

import argparse
from typing import Any


def add_command(commands: Any) -> None:
    """Add the command to the program's subparsers."""
    parser = commands.add_parser("models", help="list the models that are installed")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print name, classes, scale, licence and scores of each model."""
    from cellseg_mm.runs.model_bundle import known_models

    for model in known_models():
        scores = ", ".join(f"{metric} {value}" for metric, value in model.scores.items())
        print(
            f"{model.name}: {model.summary}\n"
            f"  classes  {', '.join(model.classes)}\n"
            f"  images   {model.mpp} µm per pixel\n"
            f"  licence  {model.licence}\n"
            f"  scores   {scores}\n"
        )
    return 0
