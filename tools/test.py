"""Score a checkpoint, write its detections, or write a submission.

    python tools/test.py CONFIG CHECKPOINT [--split val] [--dump OUT.json] [--submission OUT.zip]

Without --submission: scores on the validation images. With it: predictions of the test images, and
scores where their truth is known. Everything is written beside the checkpoint: scores of the
validation images to metrics.json, those of the test images to metrics_test.json, pictures to
overlays/val/ and overlays/test/. The scores are printed as one table.

The config's test_time turns on test-time augmentation (views, scales), tiles for large images and
further checkpoints: --cfg-options test_time.views=dihedral test_time.tile=512.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_mm.runs.user_errors import exit_with_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", help="path of the config")
    add("checkpoint", help="path of the checkpoint, or name of a published model")
    add("--work-dir", help="folder of metrics and overlays (default: that of the checkpoint)")
    add(
        "--metrics",
        nargs="+",
        choices=["coco", "cell"],
        default=["coco", "cell"],
        help="coco: average precision; cell: PQ, AJI, F1, Dice and counts (default: both); "
        "left out for images without truth",
    )
    add("--dump", metavar="OUT.json", help="write the detections as COCO JSON")
    add("--submission", metavar="OUT.zip", help="write the test images' detections")
    add(
        "--split",
        choices=["val", "test"],
        help="images to predict (default: val, with --submission test)",
    )
    add(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="overrides of the config, such as model.test_cfg.rcnn.score_thr=0.01",
    )
    add("--launcher", choices=["none", "pytorch", "slurm"], default="none", help="job launcher")
    return parser.parse_args()


def main() -> None:
    with exit_with_a_sentence():
        args = parse_args()
        for line in evaluate(args):
            print(line)


def evaluate(args: argparse.Namespace) -> list[str]:
    """Run the test loop and write what was asked for: names of the files, and a table of scores."""
    # These imports take seconds, which --help and a mistyped option should not.
    from mmengine.dist import is_main_process

    from cellseg_mm.errors import MissingFileError
    from cellseg_mm.runs.checkpoint_weights import load_weights
    from cellseg_mm.runs.evaluation import choose_evaluation, write_metrics
    from cellseg_mm.runs.model_bundle import weights_of
    from cellseg_mm.runs.quiet_runner import EvaluationRunner
    from cellseg_mm.runs.run_config import load_config
    from cellseg_mm.runs.score_table import score_table
    from cellseg_mm.runs.test_time_settings import use_test_time

    checkpoint = weights_of(args.checkpoint)
    if not Path(checkpoint).is_file():
        raise MissingFileError(
            f"The checkpoint {args.checkpoint} does not exist: train first, or look for best_*.pth "
            "in the work dir."
        )
    split = args.split or ("test" if args.submission else "val")
    # Beside the checkpoint, but not in the package where published models lie.
    folder = args.work_dir
    if folder is None and checkpoint == args.checkpoint:
        folder = str(Path(checkpoint).parent)
    config = load_config(args.config, folder, args.cfg_options, args.launcher)
    scored = choose_evaluation(config, split, args.metrics, args.dump, args.submission)
    further_checkpoints = use_test_time(config)
    runner = EvaluationRunner.from_cfg(config)
    if not scored:
        runner.logger.warning(
            f"The {split} images have no truth: they are predicted, --metrics is left out."
        )
    dataset = runner.test_dataloader.dataset
    checkpoints = [checkpoint, *further_checkpoints]
    load_weights(runner.model, checkpoints, dataset.metainfo["classes"])
    metrics = runner.test()
    written = [path for path in (args.dump, args.submission) if path]
    lines = []
    if scored:
        run = {
            "checkpoint": str(args.checkpoint),
            "config": args.config,
            "options": args.cfg_options or [],
            "data": dataset.ann_file,
        }
        path = write_metrics(metrics, Path(config.work_dir), split, run)
        lines = [score_table(metrics, dataset.metainfo["classes"])]
        written.append(str(path))
    overlays = Path(config.work_dir, "overlays", Path(dataset.ann_file).stem)
    if overlays.is_dir():
        written.append(f"{overlays}/")
    return [f"wrote {', '.join(written)}", *lines] if is_main_process() else []


if __name__ == "__main__":
    main()
