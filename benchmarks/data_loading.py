"""Loading and augmenting a training set with one worker, images/s."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from augmentation import BOX_PARAMS, fair_draws, reference_transforms, seed_both, stock_albu
from measurement import Measurement, Target, require
from mmdet.datasets import CocoDataset
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from cellseg_mm.datasets.cell_dataset import CellDataset
from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset
from cellseg_mm.preparation.raw_writer import RawDatasetWriter
from cellseg_mm.preparation.synthetic_cells import synthesize_image

STAGE = "loading + augmentation, one worker"
_LOAD_OURS = [{"type": "LoadImageFromFile"}, {"type": "mmdet.LoadCellLabels"}]
_LOAD_STOCK = [
    {"type": "LoadImageFromFile"},
    {"type": "mmdet.LoadAnnotations", "with_bbox": True, "with_mask": True, "poly2mask": True},
]


class _WithDraws(Dataset[Any]):
    """A data set whose augmentation draws the same numbers on both sides."""

    def __init__(self, dataset: Any, draws: list[int]) -> None:
        self.dataset = dataset
        self.draws = draws
        self.albu = next(
            (t for t in dataset.pipeline.transforms if type(t).__name__ == "Albu"),
            stock_albu([]),
        )

    def __len__(self) -> int:
        return len(self.draws)

    def __getitem__(self, index: int) -> Any:
        seed_both(self.draws[index], self.albu)
        return self.dataset[index % len(self.dataset)]


def _one_thread(worker_id: int) -> None:
    """What MMEngine sets for workers."""
    cv2.setNumThreads(0)


def images_per_second(dataset: Any, draws: list[int]) -> float:
    """Speed of a loader with one worker, its start not counted.

    The mean over draws: a loader's speed is what all images take together.
    """
    loader: DataLoader[Any] = DataLoader(
        _WithDraws(dataset, draws),
        num_workers=1,
        batch_size=1,
        collate_fn=pseudo_collate,
        worker_init_fn=_one_thread,
        multiprocessing_context="fork",
    )
    batches = iter(loader)
    # The worker prepares ahead from the moment it starts, which the first image marks.
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _ in batches)
    return count / (time.perf_counter() - start)


def datasets(data: Path, classes: tuple[str, ...]) -> tuple[Any, Any]:
    """Stock's and this project's data set on the same prepared folder."""
    shared = {
        "data_root": str(data),
        "ann_file": "annotations/train.json",
        "metainfo": {"classes": classes},
    }
    pack = {"type": "mmdet.PackDetInputs"}
    albu = {
        "type": "mmdet.Albu",
        "transforms": reference_transforms(),
        "bbox_params": BOX_PARAMS,
        "skip_img_without_anno": True,
    }
    stock = CocoDataset(
        data_prefix={"img": "images/"}, pipeline=[*_LOAD_STOCK, albu, pack], **shared
    )
    ours_albu = {"type": "mmdet.AlbuLabelMaps", "transforms": reference_transforms()}
    ours = CellDataset(pipeline=[*_LOAD_OURS, ours_albu, pack], **shared)
    return stock, ours


def check(stock: Any, ours: Any) -> None:
    """Require that both data sets load the same first sample, up to the augmentation."""
    theirs, mine = (dataset.get_data_info(0) for dataset in (stock, ours))
    for transform in stock.pipeline.transforms[:2]:
        theirs = transform(theirs)
    for transform in ours.pipeline.transforms[:2]:
        mine = transform(mine)
    require(np.array_equal(theirs["img"], mine["img"]), "loaded images")
    require(np.array_equal(theirs["gt_bboxes_labels"], mine["gt_bboxes_labels"]), "loaded classes")
    require(np.array_equal(theirs["gt_bboxes"].tensor, mine["gt_bboxes"].tensor), "loaded boxes")
    for bitmap, other in zip(theirs["gt_masks"].masks, mine["gt_masks"], strict=True):
        require(np.array_equal(bitmap, other), "loaded masks")


def write_synthetic(folder: Path, images: int, side: int, cells: int) -> Path:
    """A prepared data set of synthetic images."""
    raw, out = folder / "raw", folder / "prepared"
    raw.mkdir()
    writer = RawDatasetWriter(raw)
    for index in range(images):
        image = synthesize_image(np.random.default_rng([7, index]), side, side, cells)
        writer.add("train", f"image{index}", image.rgb, image.label_maps())
    writer.finish()
    prepare_dataset(PrepareOptions(raw=raw, out=out, val_fraction=0, channel_order="bgr"))
    return out


def measure(data: Path | None, quick: bool) -> list[Measurement]:
    """All measurements of this stage; ``quick`` leaves out what takes long."""
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            side, cells = (256, 40) if quick else (1000, 650)
            root = write_synthetic(Path(folder), 6, side, cells)
            name, target = f"synthetic, {side}×{side}, {cells} cells", None
        else:
            root, name = data, data.name
            target = Target("ours", "at least", 20)
        return [_measure_folder(root, name, target)]


def _measure_folder(root: Path, name: str, target: Target | None) -> Measurement:
    truth = json.loads((root / "annotations" / "train.json").read_text(encoding="utf-8"))
    stock, ours = datasets(root, tuple(c["name"] for c in truth["categories"]))
    check(stock, ours)
    # Stock takes up to a minute an image, so it gets two: one with a distortion, one without, which
    # is the pipeline's proportion. The first image of a loader is not counted.
    by_kind = {kind: seed for seed, kind in fair_draws().items()}
    few = [by_kind["none"], by_kind["GridDistortion"], by_kind["none"]]
    many = [by_kind["none"], *(list(fair_draws()) * 9)]
    return Measurement(
        STAGE,
        f"{name}, {len(ours)} images",
        "images/s",
        images_per_second(stock, few),
        images_per_second(ours, many),
        target,
        note="the reference's augmentation pipeline; stock on two images, this project on 54",
    )
