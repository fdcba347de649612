"""Weights from checkpoints, every parameter of them, for testing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.checkpoint_file import read_checkpoint
from cellseg_mm.models.test_time.test_time_model import TestTimeModel


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
    try:
        content = read_checkpoint(checkpoint)
    except MissingFileError as error:
        raise MissingFileError(
            f"{str(error).rstrip('.')}: train first, or look for best_*.pth in the work dir."
        ) from error
    if "state_dict" not in content:
        raise UserError(
            f"{checkpoint} is not a checkpoint, for it has no state_dict: choose one that "
            "tools/train.py wrote."
        )
    try:
        detector.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).splitlines()[1], 160)
        raise UserError(
            f"The checkpoint {checkpoint} does not fit the config: test with the config that it "
            f"was trained with. {reason}"
        ) from error
