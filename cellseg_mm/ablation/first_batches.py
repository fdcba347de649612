"""Evidence that a row's augmentation reaches its loader: hashes and a picture of first batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from cellseg_mm.errors import UserError
from cellseg_mm.files.rgb_file import write_rgb
from cellseg_mm.runs.spread_setting import mappings
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.visualization.loader_samples import (
    batch_samples,
    class_colours,
    iterate_batches,
    loads_bgr,
    seeded_loader,
)
from cellseg_mm.visualization.sample_picture import sample_picture, stack_pictures

_COMPARED = 8
"""Batches to hash: an augmentation of low probability may leave the first one as it was."""


class FirstBatches(NamedTuple):
    """What a training loader gives first.

    Attributes:
        pipeline: Digest of the config's training transforms; without ``PackDetInputs``, whose
            arguments are no augmentation.
        hashes: Digest of each of the first batches: images, boxes, classes and masks.
    """

    pipeline: str
    hashes: tuple[str, ...]

    def contradicts(self, other: FirstBatches) -> bool:
        """Whether the pipelines claim to differ, but all batches are the same."""
        return self.pipeline != other.pipeline and self.hashes == other.hashes


def record_first_batches(config: Config, picture: Path) -> FirstBatches:
    """Take the first batches from a config's training loader, built as the runner builds it.

    The generators are seeded with the run's seed right before. The training itself draws the
    model's initial weights first, which would make rows with different models incomparable. The
    first batch is drawn into a PNG.

    Raises:
        ValueError: The loader is empty.
    """
    loader = seeded_loader(config, "train")
    batches = list(islice(iterate_batches(loader), _COMPARED))
    if not batches:
        raise UserError("The training loader has no batch: the training split has no image.")
    samples = batch_samples(batches[0], loader.dataset, loads_bgr(config))
    drawn = [sample_picture(sample, *class_colours(loader.dataset)) for sample in samples]
    write_rgb(picture, stack_pictures(drawn))
    return FirstBatches(_pipeline_digest(config), tuple(map(_batch_digest, batches)))


def _pipeline_digest(config: Config) -> str:
    # The transforms of all data sets, wrapped ones included.
    steps = [
        [step for step in found["pipeline"] if step.get("type") != "PackDetInputs"]
        for found in mappings(config.train_dataloader.to_dict())
        if "pipeline" in found
    ]
    return hashlib.sha256(json.dumps(steps, sort_keys=True, default=repr).encode()).hexdigest()


def _batch_digest(batch: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        _add(digest, image.numpy())
        truth = sample.get("gt_instances")
        if truth is None:
            continue
        for key in ("bboxes", "labels"):
            if key in truth:
                values = getattr(truth[key], "tensor", truth[key])
                _add(digest, values.numpy())
        if "masks" in truth:
            masks = truth.masks
            if isinstance(masks, LabelMapMasks):
                _add(digest, np.asarray(masks.numpy().planes))
            else:
                _add(digest, masks.to_ndarray())
    return digest.hexdigest()


def _add(digest: Any, values: np.ndarray) -> None:
    digest.update(f"{values.dtype}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values))
