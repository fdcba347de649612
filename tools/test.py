"""Score a trained model, or write the submission of the test images.

Without --submission: scores on the validation images. With it: predictions of the test images, and
scores where their truth is known. Scores go to the work dir, those of the validation images to
metrics.json and those of the test images to metrics_test.json; a run that scores nothing leaves
both as they are.

The config's test_time turns on test-time augmentation (views, scales), tiles for large images and
further checkpoints: --cfg-options test_time.views=dihedral test_time.tile=512.
"""

from __future__ import annotations

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the checkpoint")
    parser.add_argument(
        "--work-dir", help="folder of metrics and overlays (default: work_dirs/<config's name>)"
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=["coco", "cell"],
        default=["coco"],
        help="coco: average precision (default); cell: PQ, AJI, F1, Dice and counts; "
        "left out for images without truth",
    )
    parser.add_argument("--dump", metavar="OUT.json", help="write the detections as COCO JSON")
    parser.add_argument("--submission", metavar="OUT.zip", help="write the test images' detections")
    parser.add_argument(
        "--split",
        choices=["val", "test"],
        help="images to predict (default: val, with --submission test)",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="overrides of the config, such as model.test_cfg.rcnn.score_thr=0.01",
    )
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm"], default="none", help="job launcher"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # These imports take seconds, which --help and a mistyped option should not.
    from mmengine.runner import Runner

    from cellseg_mm.runs.checkpoint_weights import load_weights
    from cellseg_mm.runs.evaluation import choose_evaluation, write_metrics
    from cellseg_mm.runs.run_config import load_config
    from cellseg_mm.runs.test_time_settings import use_test_time
    from cellseg_mm.runs.user_errors import exit_with_a_sentence

    split = args.split or ("test" if args.submission else "val")
    with exit_with_a_sentence():
        config = load_config(args.config, args.work_dir, args.cfg_options, args.launcher)
        scored = choose_evaluation(config, split, args.metrics, args.dump, args.submission)
        further_checkpoints = use_test_time(config)
        runner = Runner.from_cfg(config)
        if not scored:
            runner.logger.warning(
                f"The {split} images have no truth: they are predicted, --metrics is left out."
            )
        load_weights(runner.model, [args.checkpoint, *further_checkpoints])
        metrics = runner.test()
        if scored:
            write_metrics(metrics, config.work_dir, split)


if __name__ == "__main__":
    main()
