"""Publish a trained model: a folder of weights, model.json and a card, which runs no code.

    python tools/publish_model.py CHECKPOINT OUT --card card.yaml [--config CONFIG]

CHECKPOINT is one of tools/train.py, with its config beside it unless --config names another. The
card has the entries name, summary, licence, data, split, command, not_for, mpp, thresholds and
scores. `cellseg segment --model OUT` uses what is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_mm.runs.user_errors import exit_with_a_sentence, written_or_not


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="path of the checkpoint")
    add("out", type=Path, help="folder to write; absent or empty")
    add("--card", type=Path, required=True, metavar="CARD.yaml")
    add("--config", metavar="CONFIG", help="config of the training (default: that beside it)")
    add("--cfg-options", nargs="+", metavar="KEY=VALUE", help="overrides of the config")
    return parser.parse_args()


def main() -> None:
    with exit_with_a_sentence("nothing was written."):
        args = parse_args()
    with exit_with_a_sentence(written_or_not(args.out)):
        # These imports take seconds, which --help and a mistyped option should not.
        from cellseg_mm.runs.model_bundle import bundle_of, config_beside, find_model
        from cellseg_mm.runs.publish_model import ModelCard, publish_model
        from cellseg_mm.runs.run_config import load_config

        card = ModelCard.read(args.card)
        if args.config or args.cfg_options:
            config = args.config or str(config_beside(args.checkpoint))
            bundle = bundle_of(args.checkpoint, load_config(config, None, args.cfg_options))
        else:
            bundle = find_model(args.checkpoint)
        written = publish_model(bundle, card, args.out)
        size = written.weights.stat().st_size / 1e6
        print(f"{args.out}: {size:.1f} MB, SHA-256 {written.sha256}")


if __name__ == "__main__":
    main()
