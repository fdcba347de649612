"""Samples as the model gets them: from a config's data loader, built as the runner builds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed

from cellseg_mm.structures.cell_crops import cells_from_planes, scored_cells
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.palette import class_palette
from cellseg_mm.structures.planes import InstanceCrop


@dataclass(frozen=True)
class LoaderSample:
    """One image of a batch with its truth, for viewing.

    Attributes:
        name: Name of the image file, without folder and suffix.
        image: (H, W, 3) uint8, RGB, as the loader gave it; float images are stretched to 0–255.
        cells: N cells in the image's pixels; empty where the pipeline gives no masks and changed
            the image's size.
        labels: (N,) int64, class index of each cell.
        boxes: (N, 4) float32, xyxy in pixels.
        has_truth: Whether there is truth to show.
    """

    name: str
    image: npt.NDArray[np.uint8]
    cells: Sequence[InstanceCrop]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    has_truth: bool


def seeded_loader(config: Config, split: str) -> Any:
    """Build a config's ``DataLoader`` as the runner does, after seeding as the runner does.

    Its batches are those of a run up to the numbers that the model's initialisation draws before
    the first of them.
    """
    randomness = config.get("randomness") or {}
    seed = set_random_seed(**randomness)
    init_default_scope(config.get("default_scope", "mmdet"))
    return Runner.build_dataloader(
        config[f"{split}_dataloader"],
        seed=seed,
        diff_rank_seed=randomness.get("diff_rank_seed", False),
    )


def iterate_batches(loader: Any) -> Iterator[Mapping[str, Any]]:
    """Batches of a loader, epoch after epoch, without end; none if the loader is empty."""
    epoch = 0
    while len(loader):
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def batch_samples(batch: Mapping[str, Any], dataset: Any, bgr: bool = True) -> list[LoaderSample]:
    """Take a batch apart.

    Args:
        batch: What the loader gave: ``inputs`` and ``data_samples``.
        dataset: The loader's data set, asked for the truth that the pipeline leaves out.
        bgr: Whether the images are in the order blue, green, red.
    """
    return [
        _sample(image, data_sample, dataset, bgr)
        for image, data_sample in zip(batch["inputs"], batch["data_samples"], strict=True)
    ]


def loads_bgr(config: Config) -> bool:
    """Whether the config's images are BGR on their way to the model, as OpenCV reads them."""
    return bool(config.model.get("data_preprocessor", {}).get("bgr_to_rgb", True))


def class_colours(dataset: Any) -> tuple[tuple[str, ...], Sequence[tuple[int, int, int]]]:
    """Names and RGB colours of a data set's classes."""
    classes = tuple(dataset.metainfo["classes"])
    return classes, dataset.metainfo.get("palette") or class_palette(len(classes))


def _sample(image: Any, data_sample: Any, dataset: Any, bgr: bool) -> LoaderSample:
    pixels = _viewable(image.numpy().transpose(1, 2, 0))
    if bgr:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    name = Path(data_sample.img_path).stem
    truth = data_sample.get("gt_instances")
    if truth is not None and "masks" in truth:
        masks = truth.masks
        if not isinstance(masks, LabelMapMasks):
            masks = LabelMapMasks.from_bitmaps(masks.to_ndarray())
        masks = masks.numpy()
        boxes = getattr(truth.bboxes, "tensor", truth.bboxes).numpy()
        cells = list(cells_from_planes(masks.planes, masks.ids))
        return LoaderSample(name, pixels, cells, truth.labels.numpy(), boxes, True)
    known = _stored_truth(data_sample, dataset, pixels.shape[:2])
    if known is None:
        nothing = np.zeros(0, np.int64)
        return LoaderSample(name, pixels, [], nothing, np.zeros((0, 4), np.float32), False)
    cells, scored = scored_cells(known)
    labels, boxes = known["labels"][scored], known["bboxes"][scored]
    return LoaderSample(name, pixels, cells, labels, boxes, True)


def _stored_truth(data_sample: Any, dataset: Any, shape: tuple[int, ...]) -> dict[str, Any] | None:
    """The data set's record of an image, if it has truth and the image still has its size."""
    for index in range(len(dataset)):
        record: dict[str, Any] = dataset.get_data_info(index)
        if record.get("img_path") == data_sample.img_path:
            same_size = (record["height"], record["width"]) == tuple(shape)
            return record if same_size and "label_path" in record else None
    return None


def _viewable(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    stretched = (image - low) * (255 / max(high - low, 1e-6))
    return np.asarray(stretched.round(), np.uint8)
