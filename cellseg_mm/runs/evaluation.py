"""What is scored and written, and where the scores go."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import master_only

from cellseg_mm.errors import UserError
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.files.atomic_write import atomic_write
from cellseg_mm.runs.run_config import remove_hooks


def choose_evaluation(
    config: Config, split: str, metrics: Sequence[str], dump: str | None, submission: str | None
) -> bool:
    """Set up a config's test loop: which images, what to score, what to write; in place.

    Args:
        config: Config of the run.
        split: "val" or "test".
        metrics: Any of "coco" (the config's evaluator) and "cell" (PQ, AJI, …).
        dump: COCO JSON of detections to write, or None.
        submission: Zip to write, or None.

    Returns:
        Whether anything is scored: without truth, the images are only predicted.

    Raises:
        ValueError: The split has no images, or no truth to score while nothing is to be written.
    """
    loader, evaluator = config[f"{split}_dataloader"], config[f"{split}_evaluator"]
    evaluators: list[Any] = []
    annotations = str(Path(loader.dataset.data_root, loader.dataset.ann_file))
    content = read_coco_file(annotations)
    if not content["images"]:
        raise UserError(
            f"{annotations} lists no images to predict: prepare a data set that has {split} "
            "images, or choose the other --split."
        )
    if content["annotations"]:
        if "coco" in metrics:
            evaluators += evaluator if isinstance(evaluator, list | tuple) else [evaluator]
        if "cell" in metrics:
            evaluators.append({"type": "CellSegmentationMetric", "ann_file": annotations})
    elif submission is None and dump is None:
        raise UserError(
            f"{annotations} has no truth to score against: add --submission OUT.zip or --dump "
            "OUT.json to predict its images, or use --split val."
        )
    scored = bool(evaluators)
    for writer, out_file in (("PredictionDumper", dump), ("SubmissionWriter", submission)):
        if out_file is not None:
            evaluators.append({"type": writer, "out_file": out_file, "ann_file": annotations})
    config.test_dataloader, config.test_evaluator = loader, evaluators
    # Weights come from load_weights alone. Those of a run with averaged weights are the averages.
    config.load_from, config.resume = None, False
    remove_hooks(config, "EMAHook")
    return scored


@master_only
def write_metrics(
    metrics: Mapping[str, Any], folder: Path, split: str, run: Mapping[str, Any]
) -> Path:
    """Write the scores: COCO's numbers without their prefix, null for what is undefined.

    Args:
        metrics: What ``Runner.test`` returns.
        folder: Those of "val" go to ``metrics.json`` there, those of "test" to
            ``metrics_test.json``.
        split: "val" or "test".
        run: What was scored, under the key ``run``.
    """
    content = {
        key.removeprefix("coco/"): None if isinstance(v, float) and math.isnan(v) else v
        for key, v in metrics.items()
    }
    path = folder / ("metrics.json" if split == "val" else f"metrics_{split}.json")
    with atomic_write(path) as unfinished:
        text = json.dumps({**content, "run": dict(run)}, indent=2)
        unfinished.write_text(text + "\n", encoding="utf-8")
    return path
