"""Train a model from a config."""

from __future__ import annotations

import argparse

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("config", help="path of the config")
    add("--work-dir", help="folder of logs and checkpoints (default: work_dirs/<config's name>)")
    add(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint of the work dir, or start if there is none",
    )
    add(
        "--amp",
        action="store_true",
        help="mixed precision: bfloat16 where the device has it, else float16 with loss scaling",
    )
    add(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="overrides of the config, such as optim_wrapper.optimizer.lr=1e-4 max_epochs=5",
    )
    add("--launcher", choices=["none", "pytorch", "slurm"], default="none", help="job launcher")
    return parser.parse_args()


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        # These imports take seconds, which --help and a mistyped option should not.
        from cellseg_mm.runs.parameter_count import log_trainable_parameters
        from cellseg_mm.runs.partial_labels import use_partial_labels
        from cellseg_mm.runs.quiet_runner import QuietRunner
        from cellseg_mm.runs.run_config import (
            load_config,
            train_without_validation,
            use_mixed_precision,
        )
        from cellseg_mm.runs.training_start import resume_training, training_folder

        config = load_config(args.config, args.work_dir, args.cfg_options, args.launcher)
    go_on = "repeat the command with --resume to go on from the last epoch that was finished."
    with exit_with_a_sentence(go_on), training_folder(config.work_dir):
        if args.resume and not resume_training(config):
            return
        if train_without_validation(config):
            print("No validation images: no scores, no early stopping and no best checkpoint.")
        for path, classes in use_partial_labels(config).items():
            print(
                f"Images of {path} are not annotated for {', '.join(classes)}: what has no label "
                "there may be such a cell, and is not taken for background alone."
            )
        if args.amp:
            use_mixed_precision(config)
        runner = QuietRunner.from_cfg(config)
        log_trainable_parameters(runner.model)
        runner.train()


if __name__ == "__main__":
    main()
