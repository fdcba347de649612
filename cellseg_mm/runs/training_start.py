"""A training begins or goes on, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cellseg_mm.errors import UserError
from cellseg_mm.files.atomic_write import remove_unfinished
from cellseg_mm.files.checkpoint_file import read_checkpoint
from cellseg_mm.files.folder_lock import folder_lock
from cellseg_mm.runs.checkpoint_weights import require_classes
from cellseg_mm.runs.last_checkpoint import checkpoints_newest_first, is_whole


@contextmanager
def training_folder(work_dir: str) -> Iterator[None]:
    """Keep other trainings out of a work dir, and remove what killed ones have left half-written.

    Of several processes of one training, the first does both.

    Raises:
        ValueError: Another training is using the folder.
    """
    if not _is_first():
        yield
        return
    folder = Path(work_dir)
    refusal = f"Another training is using {work_dir}: wait for its end, or name another --work-dir."
    with folder_lock(folder / ".training.lock", refusal):
        remove_unfinished(folder)
        yield


def resume_training(config: Config) -> bool:
    """Let a config go on from the newest whole checkpoint of its work dir; in place.

    Says from where it goes on, or that there is nothing to resume or nothing left to do.

    Returns:
        Whether there is anything left to do.

    Raises:
        ValueError: No checkpoint is whole, or the newest one is not of a training with this
            config's classes.
    """
    files = checkpoints_newest_first(config.work_dir)
    checkpoint = None
    for checkpoint in files:
        if is_whole(checkpoint):
            break
        _say(f"{checkpoint} is damaged and passed over.")
    else:
        if files:
            raise UserError(
                f"{files[0]} is damaged, and there is no other checkpoint to resume from: start "
                "without --resume to begin anew."
            )
        _say(f"There is nothing to resume in {config.work_dir}: the training starts anew.")
        return True
    content = read_checkpoint(checkpoint, mmap=True)
    meta, hub = content.get("meta", {}), content.get("message_hub", {})
    if "epoch" not in meta or "optimizer" not in content:
        raise UserError(f"{checkpoint} holds weights, not the state of a training: resume another.")
    require_classes(str(checkpoint), content, config.get("metainfo", {}).get("classes"))
    epoch, epochs = int(meta["epoch"]), int(config.train_cfg.max_epochs)
    validated = hub.get("runtime_info", {}).get("validated_epoch", 0)
    if epoch >= epochs and (config.get("val_dataloader") is None or validated >= epoch):
        _say(
            f"The training in {config.work_dir} is finished: {checkpoint.name} is of epoch {epoch} "
            f"of {epochs}. To go on, give a larger max_epochs."
        )
        return False
    _say(f"The training goes on from {checkpoint}: {epoch} of {epochs} epochs are done.")
    config.update(resume=True, load_from=str(checkpoint))
    return True


def _say(sentence: Any) -> None:
    if _is_first():
        print(sentence, flush=True)


def _is_first() -> bool:
    """Whether this is the first process of a run; its group may not have met yet."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
