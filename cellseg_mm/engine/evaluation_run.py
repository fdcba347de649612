"""What scoring and predicting do around MMEngine's runner."""

from __future__ import annotations

import json
import math
import os
import pickle
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import master_only
from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import get_torch_safe_globals
from torch import nn

import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.evaluation.annotations import read_coco_file
from cellseg_mm.inference.views import VIEWS
from cellseg_mm.models.test_time_model import TestTimeModel


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
        raise ValueError(
            f"{annotations} lists no images to predict: prepare a data set that has {split} "
            "images, or choose the other --split."
        )
    if content["annotations"]:
        if "coco" in metrics:
            evaluators += evaluator if isinstance(evaluator, list | tuple) else [evaluator]
        if "cell" in metrics:
            evaluators.append({"type": "CellSegmentationMetric", "ann_file": annotations})
    elif submission is None and dump is None:
        raise ValueError(
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
    config.custom_hooks = [h for h in config.get("custom_hooks", []) if h.type != "EMAHook"]
    return scored


def use_test_time(config: Config) -> list[str]:
    """Wrap a config's model as its ``test_time`` asks for, if at all; in place.

    Returns:
        The further checkpoints to load, after the first one.

    Raises:
        ValueError: A setting of ``test_time`` makes no sense.
    """
    settings = read_test_time(config.get("test_time", {}))
    checkpoints = settings.pop("checkpoints")
    views, scales, tile = settings["views"], settings["scales"], settings["tile"]
    if (views, scales, tile, checkpoints) == ("identity", [1.0], 0, []):
        return []
    test_cfg = config.model.test_cfg.rcnn
    test_cfg.keep_probabilities = True
    config.model = ConfigDict(
        type="TestTimeModel",
        detectors=[config.model] * (1 + len(checkpoints)),
        mask_threshold=test_cfg.mask_thr_binary,
        max_per_image=test_cfg.max_per_img if test_cfg.max_per_img > 0 else None,
        **settings,
    )
    return checkpoints


def read_test_time(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the ``test_time`` of a config and fill in what it leaves out.

    Raises:
        ValueError: A setting makes no sense.
    """
    views = settings.get("views", "identity")
    scales = settings.get("scales", [1.0])
    tile, overlap = settings.get("tile", 0), settings.get("overlap", 64)
    merge_iou = settings.get("merge_iou", 0.5)
    checkpoints = settings.get("checkpoints", [])
    # A list of one loses its brackets on the command line.
    scales = list(scales) if isinstance(scales, list | tuple) else [scales]
    checkpoints = [checkpoints] if isinstance(checkpoints, str) else [*map(str, checkpoints)]
    if views not in VIEWS:
        raise ValueError(f"test_time.views is {views!r}: choose one of {', '.join(VIEWS)}.")
    if not scales or not all(_is_number(scale) and scale > 0 for scale in scales):
        raise ValueError(f"test_time.scales is {scales}: give factors above 0, such as [1.0,1.5].")
    if not isinstance(tile, int) or tile < 0:
        raise ValueError(
            f"test_time.tile is {tile!r}: give a whole number of pixels, or 0 for whole images."
        )
    if tile and not (isinstance(overlap, int) and 0 < overlap < tile):
        raise ValueError(
            f"test_time.overlap is {overlap!r}: give a whole number of pixels above 0 and below "
            f"test_time.tile, {tile}."
        )
    if not _is_number(merge_iou) or not 0 < merge_iou <= 1:
        raise ValueError(f"test_time.merge_iou is {merge_iou!r}, but must lie above 0, up to 1.")
    return {
        "views": views,
        "scales": scales,
        "tile": tile,
        "overlap": overlap,
        "merge_iou": merge_iou,
        "checkpoints": checkpoints,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def load_weights(model: nn.Module, checkpoints: Sequence[str]) -> None:
    """Load checkpoints, every parameter of them, for testing.

    MMEngine by itself skips parameters that do not fit and tests an untrained model.

    Args:
        model: The runner's model. A ``TestTimeModel`` takes a checkpoint for each detector, any
            other model takes one.
        checkpoints: Files that tools/train.py wrote.

    Raises:
        ValueError: A file does not exist or does not fit the model.
    """
    bare: Any = model.module if is_model_wrapper(model) else model
    detectors = bare.detectors if isinstance(bare, TestTimeModel) else [bare]
    for detector, checkpoint in zip(detectors, checkpoints, strict=True):
        _load(detector, checkpoint)


def _load(detector: nn.Module, checkpoint: str) -> None:
    if not Path(checkpoint).is_file():
        raise ValueError(
            f"The checkpoint {checkpoint} does not exist: train first, or look for best_*.pth in "
            "the work dir."
        )
    try:
        # MMEngine would run code from a file that cannot be read safely.
        with torch.serialization.safe_globals(get_torch_safe_globals()):
            content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{checkpoint} is not a checkpoint that can be read without running code from it: "
            "choose one that tools/train.py wrote."
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(
            f"{checkpoint} is not a checkpoint, for it has no state_dict: choose one that "
            "tools/train.py wrote."
        )
    try:
        detector.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).splitlines()[1], 160)
        raise ValueError(
            f"The checkpoint {checkpoint} does not fit the config: test with the config that it "
            f"was trained with. {reason}"
        ) from error


@master_only
def write_metrics(metrics: Mapping[str, Any], work_dir: str, split: str) -> None:
    """Write the scores: COCO's numbers without their prefix, null for what is undefined.

    Those of "val" go to ``metrics.json``, those of "test" to ``metrics_test.json``.
    """
    content = {
        key.removeprefix("coco/"): None if isinstance(v, float) and math.isnan(v) else v
        for key, v in metrics.items()
    }
    path = Path(work_dir, "metrics.json" if split == "val" else f"metrics_{split}.json")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
