"""Weights from checkpoints, every parameter of them, for testing; and the classes they know."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.files.checkpoint_file import read_checkpoint
from cellseg_mm.models.test_time.test_time_model import TestTimeModel


def load_weights(
    model: nn.Module, checkpoints: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """Load checkpoints, every parameter of them, for testing.

    MMEngine by itself skips parameters that do not fit and tests an untrained model.

    Args:
        model: The runner's model. A ``TestTimeModel`` takes a checkpoint for each detector, any
            other model takes one.
        checkpoints: Files that tools/train.py wrote.
        classes: Names that they must have been trained for; None = those of the first.

    Returns:
        The names of the classes; None if neither ``classes`` nor a checkpoint says.

    Raises:
        ValueError: A file does not exist, does not fit the model, or is for other classes.
    """
    bare: Any = model.module if is_model_wrapper(model) else model
    detectors = bare.detectors if isinstance(bare, TestTimeModel) else [bare]
    for detector, checkpoint in zip(detectors, checkpoints, strict=True):
        content = read_weights(checkpoint)
        classes = require_classes(checkpoint, content, classes)
        try:
            detector.load_state_dict(content["state_dict"])
        except RuntimeError as error:
            reason = textwrap.shorten(str(error).splitlines()[1], 160)
            raise UserError(
                f"The checkpoint {checkpoint} does not fit the config: test with the config that "
                f"it was trained with. {reason}"
            ) from error
    return None if classes is None else tuple(classes)


def require_classes(
    checkpoint: str, content: Mapping[str, Any], classes: Sequence[str] | None
) -> Sequence[str] | None:
    """Refuse a checkpoint that was trained for other classes, or for the same in another order.

    Args:
        checkpoint: How to name the checkpoint.
        content: What it holds; older ones may not say what their classes are.
        classes: The names that are asked for; None = any.

    Returns:
        The names that the checkpoint has, or else those that are asked for.

    Raises:
        ValueError: The classes differ.
    """
    trained = ((content.get("meta") or {}).get("dataset_meta") or {}).get("classes")
    if trained is None:
        return classes
    if classes is not None and list(trained) != list(classes):
        raise UserError(
            f"The classes of the checkpoint {checkpoint} are {', '.join(map(str, trained))}, but "
            f"{', '.join(classes)} are asked for: use the config that it was trained with, or add "
            f"--cfg-options metainfo.classes={','.join(map(str, trained))}."
        )
    return tuple(map(str, trained))


def read_weights(checkpoint: str) -> dict[str, Any]:
    """Read a checkpoint that holds the weights of a model, without running code from it.

    Raises:
        ValueError: The file does not exist or is no checkpoint.
    """
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
    return content
